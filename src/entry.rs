//! The program's entry point, which blocks every signal before the C library starts.
//!
//! The kernel drops a signal to PID 1 that is neither blocked nor handled: see signal(7). So a
//! signal that arrives while the C library starts would be lost. `rinit_start` blocks all signals
//! with one system call, and then jumps to the C library's `_start`, with the stack and the
//! registers that `_start` reads as the kernel left them. build.rs makes it the entry point of the
//! executable, on the architectures that have one here.
//!
//! The code is position independent and uses no relocation that would have to be applied first. The
//! new set and the old one share one variable: the kernel reads the new set, which is every signal,
//! before it stores the old one there.

use std::sync::atomic::{AtomicU64, Ordering};

/// All ones: every signal. The kernel never returns this mask, since no process has SIGKILL and
/// SIGSTOP blocked.
const NOT_STORED: u64 = u64::MAX;

/// First the set to block, then the signal mask that rinit was started with.
static INHERITED_MASK: AtomicU64 = AtomicU64::new(NOT_STORED);

/// The signal mask that rinit was started with. `None` if `rinit_start` has not blocked the
/// signals: the architecture has no entry point here, or a sandbox refuses the call.
pub fn inherited_mask() -> Option<u64> {
    Some(INHERITED_MASK.load(Ordering::Relaxed)).filter(|mask| *mask != NOT_STORED)
}

// Each entry point makes the call rt_sigprocmask(SIG_SETMASK = 2, mask, mask, 8).

/// Defines the entry point by its instructions.
#[allow(unused_macros, reason = "arm does not use it, and other architectures have no entry point")]
macro_rules! entry_point {
    ($($line:literal),* $(; $option:ident)?) => {
        std::arch::global_asm!(
            ".globl rinit_start",
            ".type rinit_start, %function",
            "rinit_start:",
            $($line,)*
            mask = sym INHERITED_MASK,
            $(options($option),)?
        );
    };
}

#[cfg(target_arch = "x86_64")]
entry_point!(
    "mov r12, rdx", // the ABI hands a function for atexit(3) to _start in rdx
    "mov eax, 14",
    "mov edi, 2",
    "lea rsi, [rip + {mask}]",
    "mov rdx, rsi",
    "mov r10d, 8",
    "syscall",
    "mov rdx, r12",
    "xor r12d, r12d",
    "jmp _start"
);

#[cfg(target_arch = "x86")]
entry_point!(
    "movl %edx, %ebp", // the ABI hands a function for atexit(3) to _start in edx
    "call 2f",
    "2: popl %ecx",
    "leal {mask} - 2b(%ecx), %ecx",
    "movl %ecx, %edx",
    "movl $2, %ebx",
    "movl $8, %esi",
    "movl $175, %eax",
    "int $0x80",
    "movl %ebp, %edx",
    "xorl %ebp, %ebp",
    "jmp _start";
    att_syntax
);

#[cfg(target_arch = "aarch64")]
entry_point!(
    "mov x9, x0", // the ABI hands a function for atexit(3) to _start in x0
    "mov x8, #135",
    "mov x0, #2",
    "adrp x1, {mask}",
    "add x1, x1, :lo12:{mask}",
    "mov x2, x1",
    "mov x3, #8",
    "svc #0",
    "mov x0, x9",
    "b _start"
);

// Without the macro, since the label has to come after `.arm`.
#[cfg(target_arch = "arm")]
std::arch::global_asm!(
    ".arm",
    ".globl rinit_start",
    ".type rinit_start, %function",
    "rinit_start:",
    "mov r12, r0", // the ABI hands a function for atexit(3) to _start in r0
    "ldr r1, 3f",
    "2: add r1, pc, r1", // pc is two instructions ahead
    "mov r2, r1",
    "mov r0, #2",
    "mov r3, #8",
    "mov r7, #175",
    "svc #0",
    "mov r0, r12",
    "b _start",
    ".balign 4",
    "3: .word {mask} - (2b + 8)",
    mask = sym INHERITED_MASK,
);

// ELFv2: when a function is entered, r12 holds its address, here and in `_start`. The TOC pointer
// r2 is computed from it.
#[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
entry_point!(
    "addis 2, 12, .TOC.-rinit_start@ha",
    "addi 2, 2, .TOC.-rinit_start@l",
    "mr 31, 7", // the ABI hands a function for atexit(3) to _start in r7
    "addis 4, 2, {mask}@toc@ha",
    "addi 4, 4, {mask}@toc@l",
    "mr 5, 4",
    "li 3, 2",
    "li 6, 8",
    "li 0, 174",
    "sc",
    "mr 7, 31",
    "addis 12, 2, _start@toc@ha",
    "addi 12, 12, _start@toc@l",
    "mtctr 12",
    "bctr"
);

#[cfg(target_arch = "riscv64")]
entry_point!(
    "mv t0, a0", // the ABI hands a function for atexit(3) to _start in a0
    ".option push",
    ".option norelax", // `_start` sets gp; the linker must not address the mask by it before
    "lla a1, {mask}",
    ".option pop",
    "mv a2, a1",
    "li a0, 2",
    "li a3, 8",
    "li a7, 135",
    "ecall",
    "mv a0, t0",
    "tail _start"
);

#[cfg(target_arch = "s390x")]
entry_point!(
    // The ABI hands a function for atexit(3) to _start in r14.
    "larl %r3, {mask}",
    "lgr %r4, %r3",
    "lghi %r2, 2",
    "lghi %r5, 8",
    "svc 175",
    "jg _start"
);
