//! The process: from the kernel's first instruction to the exit code. All the rest is in the library.
//!
//! Rust's own start-up is left out (`no_main`). It would set SIGPIPE to ignored, which the command would
//! inherit, poll the standard descriptors, and map an alternate stack, in every container.

#![no_main]

mod malloc;

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use rinit::sys::signal::{self, SignalSet};

/// Where no mask has been stored: no process has SIGKILL and SIGSTOP blocked, so none is all ones.
const NOT_STORED: u64 = u64::MAX;

/// The signal mask that rinit was started with, stored by `rinit_start`.
static INHERITED_MASK: AtomicU64 = AtomicU64::new(NOT_STORED);

// The program's entry point (build.rs tells the linker): blocks every signal and goes on to the C library's
// `_start` with all registers as the kernel left them. The kernel drops a signal to PID 1 that is neither
// blocked nor handled, signal(7), so one that arrives while the C library sets itself up would be lost.
// Other architectures begin at `_start` and block in `main`.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl rinit_start",
    "rinit_start:",
    "mov r12, rdx",       // the System V ABI hands _start a function for atexit there
    "mov eax, 14",        // rt_sigprocmask
    "mov edi, 2",         // SIG_SETMASK
    "lea rsi, [rip + 2f]",
    "lea rdx, [rip + {mask}]",
    "mov r10d, 8",
    "syscall",
    "mov rdx, r12",
    "xor r12d, r12d",
    "jmp _start",
    ".balign 8",
    "2: .quad -1",
    mask = sym INHERITED_MASK,
);
#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl rinit_start",
    "rinit_start:",
    "mov x9, x0",         // the ABI hands _start a function for atexit there
    "mov x8, #135",       // rt_sigprocmask
    "mov x0, #2",         // SIG_SETMASK
    "adr x1, 2f",
    "adrp x2, {mask}",
    "add x2, x2, :lo12:{mask}",
    "mov x3, #8",
    "svc #0",
    "mov x0, x9",
    "b _start",
    ".balign 8",
    "2: .quad -1",
    mask = sym INHERITED_MASK,
);

/// What the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings that stay for the life of the process: execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let inherited = match INHERITED_MASK.load(Ordering::Relaxed) {
        NOT_STORED => signal::set_mask(SignalSet::ALL),
        stored => SignalSet::from_bits(stored),
    };
    // `std::env::args_os` is empty under `no_main` on musl.
    let arguments: Vec<&'static CStr> = (0..usize::try_from(argc).unwrap_or(0))
        .map(|index| {
            // SAFETY: below argc, so a C string that stays: the caller's promise.
            unsafe { CStr::from_ptr(*argv.add(index)) }
        })
        .collect();
    c_int::from(rinit::run(arguments.get(1..).unwrap_or_default(), inherited))
}
