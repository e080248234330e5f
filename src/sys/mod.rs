//! Thin wrappers over single system calls that nix does not have, or in which it loses something.
//!
//! nix's `Signal` has no real-time signals, and its `waitpid` fails for a child that one of them killed. So signals are plain
//! numbers here. Nothing in this folder decides anything, and it imports nothing of the crate.

pub mod arena;
pub mod arguments;
pub(crate) mod descriptor;
pub(crate) mod environment;
pub(crate) mod file;
mod memory;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod wait;

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::c_long;
use nix::errno::Errno;

/// The result of a raw system call, as a value or the errno.
fn check(result: c_long) -> Result<c_long, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

/// The descriptor that a raw system call returned.
///
/// # Safety
/// The call returns a new descriptor, which nobody owns yet.
unsafe fn owned_fd(result: c_long) -> Result<OwnedFd, Errno> {
    let descriptor = check(result)? as RawFd;
    // SAFETY: the caller promises that nobody owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
