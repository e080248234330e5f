//! File descriptors: the standard ones, closing the inherited ones, and a write that does not wait.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use super::check;

/// stdin (0), stdout (1) or stderr (2). It may be closed: then a call that uses it fails with
/// EBADF.
pub(crate) fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the number is not -1. rinit keeps nothing of its own open below 3: see
    // `move_above_stderr`. Below stderr, a file in /proc may be open for a moment.
    unsafe { BorrowedFd::borrow_raw(number.clamp(0, libc::STDERR_FILENO)) }
}

/// Another descriptor for the same open file, above stderr: std asks for 3 or more, see
/// F_DUPFD_CLOEXEC in fcntl(2).
///
/// # Errors
/// EBADF if it is closed; EINVAL and EMFILE if the limit on descriptors leaves no room.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    descriptor.try_clone_to_owned().map_err(|error| Errno::try_from(error).unwrap_or(Errno::EINVAL))
}

/// Moves a descriptor of rinit above stderr. It is below if rinit was started with a standard
/// descriptor closed, and messages or the command's output must not go to it. A descriptor that
/// cannot be moved is closed.
///
/// # Errors
/// As for [`duplicate`].
pub(crate) fn move_above_stderr(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsFd;
    if descriptor.as_raw_fd() > libc::STDERR_FILENO { Ok(descriptor) } else { duplicate(descriptor.as_fd()) }
}

/// Closes every descriptor but stderr and `own`. Nothing else in rinit may own a descriptor.
pub(crate) fn close_all_but_stderr_and(own: Option<BorrowedFd<'_>>) {
    let own = own.map_or(libc::STDERR_FILENO, |own| own.as_raw_fd());
    close_range(libc::STDIN_FILENO, libc::STDOUT_FILENO);
    close_range(libc::STDERR_FILENO + 1, own - 1);
    close_range(own + 1, RawFd::MAX);
}

/// Closes the descriptors from `first` to `last`, both included: see close_range(2). Closes them
/// one by one if the kernel does not have that call (before 5.9) or a sandbox refuses it (some
/// return EPERM, not ENOSYS).
fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: the call takes only numbers. rinit owns none of these descriptors: see the caller.
    if unsafe { libc::syscall(libc::SYS_close_range, first as c_uint, last as c_uint, 0 as c_uint) } == 0 {
        return;
    }
    for descriptor in first..=last.min(highest_possible()) {
        // After EBADF or EINTR there is nothing to do: the descriptor was not open, or is closed
        // now, see close(2).
        let _ = nix::unistd::close(descriptor);
    }
}

/// The highest descriptor that the limit allows. None above it is open, unless the limit was
/// lowered afterwards.
fn highest_possible() -> RawFd {
    // The kernel's default ceiling (fs.nr_open). rinit cannot try all descriptors below a higher
    // limit.
    let ceiling = 1 << 20;
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 0));
    RawFd::try_from(limit).map_or(ceiling, |limit| limit.min(ceiling)) - 1
}

/// Writes without waiting, as if O_NONBLOCK were set for this one call: see RWF_NOWAIT in
/// pwritev2(2).
///
/// # Errors
/// EAGAIN if the write would block; EOPNOTSUPP if this kind of file does not support the flag; the
/// errors of write(2).
pub(crate) fn write_no_wait(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // Offset -1 means the file's own position. The call takes it as two words, low and high.
    let (count, low, high): (c_long, c_long, c_long) = (1, -1, -1);
    let flags: c_int = libc::RWF_NOWAIT;
    // SAFETY: one iovec, which lives during the call and is only read.
    let written =
        unsafe { libc::syscall(libc::SYS_pwritev2, descriptor.as_raw_fd(), &raw const part, count, low, high, flags) };
    check(written).map(|written| written as usize)
}
