//! File descriptors: the standard ones, closing the inherited ones, and a write that does not wait.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use super::check;

/// stdin (0), stdout (1) or stderr (2). It may be closed: then a call with it fails with EBADF.
pub(crate) fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: not -1. rinit opens nothing of its own below 3 (see `move_above_stderr`), so the number never means another file.
    unsafe { BorrowedFd::borrow_raw(number.clamp(0, libc::STDERR_FILENO)) }
}

/// Another descriptor for the same open file, above stderr: std asks for 3 or more, fcntl(2), F_DUPFD_CLOEXEC.
///
/// # Errors
/// EBADF if it is closed; EINVAL and EMFILE if the limit on descriptors leaves no room.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let duplicate = descriptor.try_clone_to_owned();
    duplicate.map_err(|error| error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))
}

/// Moves a descriptor of rinit's own above stderr, if rinit was started with a standard one closed. What has no room there is
/// closed: messages, or the command's output, must not go to it.
///
/// # Errors
/// As for [`duplicate`].
pub(crate) fn move_above_stderr(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsFd;
    if descriptor.as_raw_fd() > libc::STDERR_FILENO { Ok(descriptor) } else { duplicate(descriptor.as_fd()) }
}

/// Closes every descriptor but stderr and one of rinit's own. Nothing else in rinit may own one.
pub(crate) fn close_all_but_stderr_and(own: Option<BorrowedFd<'_>>) {
    let own = own.map_or(libc::STDERR_FILENO, |own| own.as_raw_fd());
    close_range(libc::STDIN_FILENO, libc::STDOUT_FILENO);
    close_range(libc::STDERR_FILENO + 1, own - 1);
    close_range(own + 1, RawFd::MAX);
}

/// Closes the descriptors from `first` to `last`, both included: close_range(2). One by one if the kernel has no such call (before 5.9)
/// or a sandbox refuses it (some answer EPERM, not ENOSYS).
fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: numbers only. rinit owns none of them: see the caller.
    if unsafe { libc::syscall(libc::SYS_close_range, first as c_uint, last as c_uint, 0 as c_uint) } == 0 {
        return;
    }
    for descriptor in first..=last.min(highest_possible()) {
        // EBADF and EINTR leave nothing to do: the descriptor is not there, or not any more, close(2).
        let _ = nix::unistd::close(descriptor);
    }
}

/// One less than the limit on descriptors. None above it is open, unless the limit was lowered afterwards.
fn highest_possible() -> RawFd {
    // The kernel's own default ceiling (fs.nr_open), for a limit that cannot be walked through.
    let ceiling = 1 << 20;
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 0));
    RawFd::try_from(limit).map_or(ceiling, |limit| limit.min(ceiling)) - 1
}

/// O_NONBLOCK for one write: RWF_NOWAIT, pwritev2(2).
///
/// # Errors
/// EAGAIN if the write would block; EOPNOTSUPP if this kind of file cannot tell; what write(2) says.
pub(crate) fn write_no_wait(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // Offset -1 means the file's own position. It goes in as two words, low and high.
    let (count, low, high): (c_long, c_long, c_long) = (1, -1, -1);
    let flags: c_int = libc::RWF_NOWAIT;
    // SAFETY: one iovec, which lives through the call and is only read from.
    let written =
        unsafe { libc::syscall(libc::SYS_pwritev2, descriptor.as_raw_fd(), &raw const part, count, low, high, flags) };
    check(written).map(|written| written as usize)
}
