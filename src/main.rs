//! The process: from the kernel's first instruction to the exit code. All the rest is in the library.
//!
//! Rust's own start-up is left out (`no_main`). It would set SIGPIPE to ignored, which the command would
//! inherit, poll the standard descriptors, and map an alternate stack, in every container.

#![no_main]

mod entry;
mod malloc;

use std::ffi::{CStr, c_char, c_int};

use rinit::sys::signal::{self, SignalSet};

/// What the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings that stay for the life of the process: execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let inherited = entry::inherited_mask().map_or_else(|| signal::set_mask(SignalSet::ALL), SignalSet::from_bits);
    // `std::env::args_os` is empty under `no_main` on musl.
    let arguments: Vec<&'static CStr> = (0..usize::try_from(argc).unwrap_or(0))
        .map(|index| {
            // SAFETY: below argc, so a C string that stays: the caller's promise.
            unsafe { CStr::from_ptr(*argv.add(index)) }
        })
        .collect();
    c_int::from(rinit::run(arguments.get(1..).unwrap_or_default(), inherited))
}
