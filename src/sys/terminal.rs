//! A terminal's tie to a session: tty_ioctl(4).

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_long, c_ulong};
use nix::errno::Errno;

use super::check;

/// Makes this terminal the session's controlling one, if it is no other session's: TIOCSCTTY without stealing.
///
/// # Errors
/// EPERM if the process does not lead a session, has a controlling terminal, or the terminal is another session's. ENOTTY if
/// it is no terminal.
pub(crate) fn acquire(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    control(terminal, libc::TIOCSCTTY as c_ulong)
}

/// Gives the session's controlling terminal up: TIOCNOTTY. The kernel sends SIGHUP and SIGCONT to its foreground group.
///
/// # Errors
/// ENOTTY if this is not the controlling terminal.
pub(crate) fn give_up(terminal: BorrowedFd<'_>) -> Result<(), Errno> {
    control(terminal, libc::TIOCNOTTY as c_ulong)
}

fn control(terminal: BorrowedFd<'_>, request: c_ulong) -> Result<(), Errno> {
    // SAFETY: an open descriptor, a request of those above, and 0, which the first one needs and the second one ignores.
    check(c_long::from(unsafe { libc::ioctl(terminal.as_raw_fd(), request as _, 0) })).map(drop)
}
