//! Thin, typed wrappers over the kernel's calls, where nix has none or has one that loses something.
//!
//! Signals are the kernel's own 1 to 64 here: nix's `Signal` knows no real-time ones, and its `waitpid`
//! fails on a child that one of them killed. Nothing in this folder decides anything. It holds most of the unsafe
//! code; SECURITY.md lists every block.

pub mod descriptor;
pub mod file;
pub mod heap;
pub mod process;
pub mod signal;
pub mod wait;
pub mod watch;

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// What a raw system call answered, as a value or the errno.
pub(crate) fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

/// The descriptor that a raw system call has made.
///
/// # Safety
/// The call answers with a new descriptor, which nobody owns yet.
pub(crate) unsafe fn made(result: libc::c_long) -> Result<OwnedFd, Errno> {
    // SAFETY: the caller's promise.
    check(result).map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}
