//! How a terminal becomes the controlling terminal of a session, and stops being it: see
//! tty_ioctl(4).

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_long, c_ulong};
use nix::errno::Errno;

use super::check;

/// Makes this the controlling terminal of the caller's session, unless it is another session's:
/// TIOCSCTTY without stealing.
///
/// # Errors
/// EPERM if the process does not lead a session, has a controlling terminal already, or the
/// terminal is another session's. ENOTTY if it is no terminal.
pub(crate) fn acquire(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    control(terminal, libc::TIOCSCTTY as c_ulong)
}

/// Gives up the session's controlling terminal: TIOCNOTTY. The kernel sends SIGHUP and SIGCONT to
/// its foreground group.
///
/// # Errors
/// ENOTTY if this is not the controlling terminal.
pub(crate) fn give_up(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    control(terminal, libc::TIOCNOTTY as c_ulong)
}

fn control(terminal: BorrowedFd<'_>, request: c_ulong) -> Result<(), Errno> {
    // SAFETY: the request is one of the two above, and neither takes a pointer. The first one needs
    // the argument 0, the second one ignores it.
    check(c_long::from(unsafe { libc::ioctl(terminal.as_raw_fd(), request as _, 0) })).map(drop)
}
