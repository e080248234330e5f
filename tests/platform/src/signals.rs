//! The kernel's signals by number, which are the same on every platform that rinit is built for, and the kernel's own
//! mask: the C library's calls leave out the signals that it keeps for itself.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

/// A real-time signal that no C library keeps for itself.
pub const REAL_TIME: c_int = 40;

/// Every signal that rinit forwards. 32 and 33 are the C library's own.
pub fn forwarded() -> impl Iterator<Item = c_int> {
    (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(number))
}

/// Every signal whose default action ends a process: signal(7).
pub fn deadly() -> impl Iterator<Item = c_int> {
    const HARMLESS: [c_int; 8] = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    (1..=64).filter(|number| !HARMLESS.contains(number) && ![32, 33].contains(number))
}

/// A mask with these signals.
pub fn mask_of(signals: &[c_int]) -> u64 {
    signals.iter().fold(0, |mask, signal| mask | 1 << (signal - 1))
}

/// The signals of a mask.
pub fn signals_of(mask: u64) -> Vec<c_int> {
    (1..=64).filter(|number| mask >> (number - 1) & 1 == 1).collect()
}

/// Sets the mask of this process. The kernel's is an array of longs with the first signals in the first one, which is the
/// same as one number of 64 bits, but on a big-endian platform of 32 bits. rinit is built for none.
pub fn set_mask(mask: u64) {
    let none = null_mut::<u64>();
    // SAFETY: the kernel reads eight bytes, the size of its mask.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, 8) };
    assert_eq!(result, 0, "cannot set the mask");
}

/// The mask of this process.
pub fn mask() -> u64 {
    let (mut mask, none) = (0_u64, null::<u64>());
    // SAFETY: the kernel writes eight bytes, the size of its mask.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, none, &raw mut mask, 8) };
    assert_eq!(result, 0, "cannot read the mask");
    mask
}

/// The signals that this process ignores.
pub fn ignored() -> Vec<c_int> {
    (1..=64).filter(|signal| is_ignored(*signal)).collect()
}

/// The kernel's structure. It begins with the handler on every platform, and is smaller than this. The C library's calls
/// refuse the signals that it keeps for itself: 32 and 33, and 34 in musl.
type Action = [usize; 16];

fn is_ignored(signal: c_int) -> bool {
    let mut action: Action = [0; 16];
    // SAFETY: the kernel writes its structure into a buffer that is large enough.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, null::<Action>(), &raw mut action, 8) };
    assert_eq!(result, 0, "cannot read the action of {signal}");
    action[0] == libc::SIG_IGN
}

/// Ignores a signal.
pub fn ignore(signal: c_int) {
    let mut action: Action = [0; 16];
    action[0] = libc::SIG_IGN;
    assert!(set_action(signal, &action), "cannot ignore {signal}");
}

/// Gives every signal that may have another one its default action.
pub fn ignore_none() {
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP are refused.
        set_action(signal, &[0; 16]);
    }
}

fn set_action(signal: c_int, action: &Action) -> bool {
    // SAFETY: the kernel reads its structure from a buffer that is large enough. No handler is installed.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const *action, null_mut::<Action>(), 8) };
    result == 0
}

/// The next signal, all being blocked. None if `patience` is over.
pub fn next(patience: Duration) -> Option<libc::siginfo_t> {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let time = libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as c_long };
        // SAFETY: plain structures of the C library's own, which the calls fill.
        let (number, arrived) = unsafe {
            let (mut all, mut arrived) = (MaybeUninit::<libc::sigset_t>::zeroed(), MaybeUninit::zeroed().assume_init());
            // sigfillset(3) leaves out the C library's own. The first eight bytes are the kernel's mask.
            all.as_mut_ptr().cast::<u64>().write(u64::MAX);
            (libc::sigtimedwait(all.as_ptr(), &mut arrived, &time), arrived)
        };
        if number > 0 {
            return Some(arrived);
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// `NUMBER plain`, or `NUMBER value VALUE` for one that was queued with a value.
pub fn describe(arrived: &libc::siginfo_t) -> String {
    // Below 0 are the codes of what has a value, but for the one of tkill(2): sigaction(2).
    if arrived.si_code < 0 && arrived.si_code != libc::SI_TKILL {
        // SAFETY: a signal with such a code has a value, in the same place for each.
        let value = unsafe { arrived.si_value() }.sival_ptr.addr();
        format!("{} value {value}", arrived.si_signo)
    } else {
        format!("{} plain", arrived.si_signo)
    }
}

/// Sends a signal.
pub fn kill(pid: libc::pid_t, signal: c_int) -> Result<(), String> {
    // SAFETY: numbers only.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(format!("cannot send {signal} to {pid}: {}", std::io::Error::last_os_error())),
    }
}

/// Queues a signal with a value.
pub fn queue(pid: libc::pid_t, signal: c_int, value: usize) -> Result<(), String> {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    // SAFETY: numbers only. Nobody looks behind the value.
    match unsafe { libc::sigqueue(pid, signal, value) } {
        0 => Ok(()),
        _ => Err(format!("cannot queue {signal} to {pid}: {}", std::io::Error::last_os_error())),
    }
}

/// Queues a signal with a value as the kernel does for a timer, a message queue and the like: with this code.
pub fn queue_with_code(pid: libc::pid_t, signal: c_int, code: c_int, value: usize) -> Result<(), String> {
    // Three ints, then pid and uid from where a pointer may stand, then the value: the kernel's siginfo_t.
    let before = (3 * size_of::<c_int>()).next_multiple_of(size_of::<usize>());
    let mut bytes = [0; size_of::<libc::siginfo_t>()];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, &signal.to_ne_bytes());
    put(8, &code.to_ne_bytes());
    put(before + 8, &value.to_ne_bytes());
    // SAFETY: the kernel reads a siginfo_t, which the bytes are.
    match unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, bytes.as_ptr()) } {
        0 => Ok(()),
        _ => Err(format!("cannot queue {signal} to {pid}: {}", std::io::Error::last_os_error())),
    }
}
