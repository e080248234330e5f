//! The calls that block, await and send signals, by number and by the kernel's own 64-bit sets: see
//! signal(7).
//!
//! The system calls are made directly. The C libraries keep signals 32 and 33 (and musl 34, which
//! is glibc's SIGRTMIN) out of their sets. A signal that is missing from the mask kills the init
//! instead of being forwarded.

use std::ffi::{CStr, c_char};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::time::Duration;

use libc::{c_int, c_long, pid_t, sighandler_t, siginfo_t};
use nix::errno::Errno;

use super::{check, owned_fd};

/// The size of the kernel's signal set in bytes.
const SET: usize = size_of::<u64>();

/// struct timespec as the system calls without `_time64` take it. The C library's may be wider on
/// 32-bit machines.
#[repr(C)]
struct KernelTimespec {
    seconds: c_long,
    nanoseconds: c_long,
}

/// Blocks exactly the signals of this set. Returns the previous mask: see rt_sigprocmask(2).
///
/// # Errors
/// EPERM or ENOSYS if a sandbox refuses it.
pub(crate) fn set_mask(mask: u64) -> Result<u64, Errno> {
    let mut before = 0_u64;
    // SAFETY: the kernel is told the true size of both sets.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, SET) };
    check(result).map(|_| before)
}

/// The pending signals, which have been sent and are blocked: see rt_sigpending(2). Empty if a
/// sandbox refuses the call.
pub(crate) fn pending() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the kernel is told the true size of the set.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, SET) };
    check(result).map_or(0, |_| set)
}

/// Takes the next pending signal of a set. If there is none, waits for one until the timeout is
/// over, or without limit if there is no timeout: see rt_sigtimedwait(2).
///
/// # Errors
/// EAGAIN if the timeout is over; EINTR if a stop and a continue, a tracer or a freezer interrupts
/// the wait.
pub(crate) fn wait(set: u64, timeout: Option<Duration>) -> Result<siginfo_t, Errno> {
    let timeout = timeout.map(|timeout| KernelTimespec {
        seconds: c_long::try_from(timeout.as_secs()).unwrap_or(c_long::MAX),
        nanoseconds: timeout.subsec_nanos() as c_long,
    });
    let limit = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<siginfo_t>::zeroed();
    // SAFETY: the kernel is told the true size of the set, `info` has room for a siginfo_t, `limit`
    // is null or a live timespec. All-zero bytes are a valid siginfo_t, and the kernel has filled
    // it in.
    unsafe {
        check(libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info.as_mut_ptr(), limit, SET))?;
        Ok(info.assume_init())
    }
}

/// A descriptor that is readable while a signal of the set is pending: see signalfd(2).
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM; EPERM if a sandbox refuses it.
pub(crate) fn descriptor(set: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel is told the true size of the set. -1 asks for a new descriptor.
    unsafe { owned_fd(libc::syscall(libc::SYS_signalfd4, -1 as c_long, &raw const set, SET, libc::SFD_CLOEXEC)) }
}

/// Sends a signal to a process (positive), to rinit's own group (0), to all processes (-1) or to a
/// group (below -1): see kill(2). Signal 0 only asks whether there is a receiver.
///
/// # Errors
/// ESRCH if there is no receiver; EPERM if rinit may signal none of them.
pub(crate) fn kill(target: pid_t, number: c_int) -> Result<(), Errno> {
    // SAFETY: the call takes only numbers.
    check(c_long::from(unsafe { libc::kill(target, number) })).map(drop)
}

/// Queues a signal with everything in `info`, including its value and its sender: see
/// rt_sigqueueinfo(2).
///
/// # Errors
/// ESRCH and EPERM as for [`kill`]; EPERM for a code that only the kernel may use; EAGAIN if the
/// receiver's queue is full.
pub(crate) fn queue(target: pid_t, info: &siginfo_t) -> Result<(), Errno> {
    let number = info.si_signo;
    // SAFETY: a complete siginfo_t, which the call only reads.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, target, number, std::ptr::from_ref(info)) };
    check(result).map(drop)
}

/// The pid and the child's status in a siginfo_t. The pid is valid only for codes that have a
/// sender or a child, the status only for a child: see sigaction(2).
pub(crate) fn pid_and_status(info: &siginfo_t) -> (pid_t, c_int) {
    // SAFETY: the bytes were zeroed or filled in by the kernel, and all bytes are valid numbers.
    unsafe { (info.si_pid(), info.si_status()) }
}

/// Ignores a signal (true), restores its default action (false), or only asks: see sigaction(2).
/// These two dispositions survive an exec, see signal(7). Returns whether the signal was ignored
/// before.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, and for the two signals that the C library keeps; EPERM or
/// ENOSYS if a sandbox refuses it.
pub(crate) fn set_ignored(number: c_int, is_ignored: Option<bool>) -> Result<bool, Errno> {
    sigaction(number, is_ignored.map(|is_ignored| if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL }))
}

/// The last signal that [`record`]'s handler got, or 0.
static RECORDED: AtomicI32 = AtomicI32::new(0);

/// Installs a handler that only records the signal. If the signal is ignored, it stays ignored.
///
/// # Errors
/// As for [`set_ignored`].
pub(crate) fn record(number: c_int) -> Result<(), Errno> {
    extern "C" fn store(number: c_int) {
        RECORDED.store(number, Ordering::Relaxed);
    }
    handle(number, store)
}

/// Whether a signal has been recorded.
pub(crate) fn is_recorded() -> bool {
    RECORDED.load(Ordering::Relaxed) != 0
}

/// The file that [`exit_on`]'s handler removes, or null.
static TEMPORARY: AtomicPtr<c_char> = AtomicPtr::new(std::ptr::null_mut());

/// Sets the file that [`exit_on`]'s handler removes.
pub(crate) fn remove_on_exit(file: &'static CStr) {
    TEMPORARY.store(file.as_ptr().cast_mut(), Ordering::Relaxed);
}

/// Installs a handler that ends the process with the exit code 128 + the signal's number. If the
/// signal is ignored, it stays ignored.
///
/// # Errors
/// As for [`set_ignored`].
pub(crate) fn exit_on(number: c_int) -> Result<(), Errno> {
    extern "C" fn exit(number: c_int) {
        let file = TEMPORARY.load(Ordering::Relaxed);
        // SAFETY: both calls are async-signal-safe: signal-safety(7). The file is null or a C
        // string that lives as long as the process.
        unsafe {
            if !file.is_null() {
                libc::unlink(file);
            }
            libc::_exit(128 + number)
        }
    }
    handle(number, exit)
}

/// Installs a handler. If the signal is ignored, it stays ignored.
fn handle(number: c_int, handler: extern "C" fn(c_int)) -> Result<(), Errno> {
    if sigaction(number, Some(handler as sighandler_t))? {
        set_ignored(number, Some(true))?;
    }
    Ok(())
}

/// Sets the action of a signal, if one is given. Returns whether the signal was ignored before.
fn sigaction(number: c_int, action: Option<sighandler_t>) -> Result<bool, Errno> {
    let mut new = MaybeUninit::<libc::sigaction>::zeroed();
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: an all-zero sigaction is a valid one: no flags, an empty mask. The action is SIG_DFL,
    // SIG_IGN, or one of the handlers above, which do only what signal-safety(7) allows.
    unsafe {
        (*new.as_mut_ptr()).sa_sigaction = action.unwrap_or(libc::SIG_DFL);
        (*new.as_mut_ptr()).sa_flags = libc::SA_RESTART;
        let new = if action.is_some() { new.as_ptr() } else { std::ptr::null() };
        check(c_long::from(libc::sigaction(number, new, before.as_mut_ptr())))?;
        Ok(before.assume_init().sa_sigaction == libc::SIG_IGN)
    }
}
