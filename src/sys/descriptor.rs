//! File descriptors: the standard ones, closing the inherited ones, and a write that does not wait.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use super::{check, owned_fd};

/// stdin (0), stdout (1) or stderr (2). It may be closed: then a call with it fails with EBADF.
pub(crate) fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: not -1. rinit opens nothing of its own below 3 (see `move_above_stderr`), so the number never means another file.
    unsafe { BorrowedFd::borrow_raw(number.clamp(0, libc::STDERR_FILENO)) }
}

/// Another descriptor for the same open file, above stderr.
///
/// # Errors
/// EBADF if it is closed; EINVAL and EMFILE if the limit on descriptors leaves no room.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let lowest = libc::STDERR_FILENO + 1;
    // SAFETY: an open descriptor or a closed number goes in, a descriptor that nobody owns yet comes out.
    unsafe { owned_fd(c_long::from(libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest))) }
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

/// Closes the descriptors from `first` to `last`, both included: close_range(2). One by one if the kernel has no such call
/// (before 5.9) or a sandbox refuses it (some answer EPERM, not ENOSYS).
///
/// # Safety
/// Nothing in rinit owns a descriptor of the range.
pub(crate) unsafe fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: the caller's promise; numbers only.
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
