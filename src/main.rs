//! The process: from the kernel's first instruction to the exit code. All the rest is in the library.
//!
//! Rust's own start-up is left out (`no_main`). It would set SIGPIPE to ignored, which the command would inherit, poll the standard
//! descriptors, and map an alternate stack, in every container.

#![no_main]

mod entry;

use std::ffi::{c_char, c_int};

use rinit::signal::{self, SignalSet};
use rinit::sys::arena::Arena;
use rinit::sys::arguments::Arguments;

#[global_allocator]
static ALLOCATOR: Arena = Arena;

/// What the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings and a null pointer, which stay for the life of the process: execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *const c_char) -> c_int {
    let mask = entry::inherited_mask().map(SignalSet::from_bits).map_or_else(|| signal::set_mask(SignalSet::ALL), Ok);
    // SAFETY: the caller's promise. `std::env::args_os` is empty under `no_main` on musl.
    let arguments = unsafe { Arguments::new(usize::try_from(argc).unwrap_or(0), argv) };
    c_int::from(rinit::run(arguments, mask))
}
