//! Thin wrappers over single system calls that nix does not have, or whose result it does not
//! return in full.
//!
//! nix's `Signal` has no real-time signals, and its `waitpid` fails for a child that one of them
//! killed. So signals are plain numbers here. This folder has no policy, and imports nothing from
//! the rest of the crate.

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

use std::cell::Cell;
use std::ffi::c_char;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::c_long;
use nix::errno::Errno;

/// The result of a raw system call, as a value or the errno.
fn check(result: c_long) -> Result<c_long, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

/// Removes the first pointer of a list that ends with a null pointer, and moves the rest up.
fn remove_first(list: &[Cell<*const c_char>]) {
    for (pointer, next) in list.iter().zip(list.iter().skip(1)) {
        pointer.set(next.get());
    }
}

/// The descriptor that a raw system call returned.
///
/// # Safety
/// If the call succeeded, it returned a new descriptor, which nothing owns yet.
unsafe fn owned_fd(result: c_long) -> Result<OwnedFd, Errno> {
    let descriptor = check(result)? as RawFd;
    // SAFETY: the caller guarantees that nothing owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
