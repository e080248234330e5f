//! The program's entry: from the kernel's first instruction to the exit code. Everything else is in
//! the library.
//!
//! Rust's own start-up code is left out (`no_main`). In every container, it would set SIGPIPE to
//! ignored, which the command would inherit, poll the standard descriptors, and map an alternate
//! signal stack.

#![no_main]

mod entry;

use std::ffi::{c_char, c_int};

use rinit::signal::{self, SignalSet};
use rinit::sys::arena::Arena;
use rinit::sys::arguments::Arguments;

#[global_allocator]
static ALLOCATOR: Arena = Arena;

/// The function that the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings and a null pointer, which live as long as the process: see
/// execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *const c_char) -> c_int {
    let mask = entry::inherited_mask().map(SignalSet).map_or_else(|| signal::set_mask(SignalSet::ALL), Ok);
    // SAFETY: the caller guarantees `argc` and `argv`. `std::env::args_os` is no alternative: it is
    // empty under `no_main` on musl.
    let arguments = unsafe { Arguments::new(usize::try_from(argc).unwrap_or(0), argv) };
    c_int::from(rinit::run(arguments, mask))
}
