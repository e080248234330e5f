//! What rinit asks of the kernel about itself: prctl(2), process groups, the spawn.

use std::ffi::{CStr, OsStr, c_void};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use libc::{c_int, c_long, c_ulong, pid_t};
use nix::errno::Errno;

use super::signal::Signal;
use super::{check, made};

/// rinit's own pid: 1 where it is the init of its PID namespace, pid_namespaces(7).
pub fn own_pid() -> pid_t {
    nix::unistd::getpid().as_raw()
}

/// The parent's pid; 0 where that is outside the PID namespace.
pub fn parent_pid() -> pid_t {
    nix::unistd::getppid().as_raw()
}

/// rinit's own process group; 0 where its leader is outside the PID namespace.
pub fn own_group() -> pid_t {
    nix::unistd::getpgrp().as_raw()
}

/// Whether rinit leads its session: getsid(2).
pub fn leads_session() -> bool {
    nix::unistd::getsid(None) == Ok(nix::unistd::getpid())
}

/// The process group of a process; getpgid(2).
///
/// # Errors
/// ESRCH where there is no such process.
pub fn group_of(pid: pid_t) -> Result<pid_t, Errno> {
    nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).map(nix::unistd::Pid::as_raw)
}

/// Makes rinit the new parent of its descendants' orphans: PR_SET_CHILD_SUBREAPER, prctl(2).
///
/// # Errors
/// EINVAL before Linux 3.4; EPERM where a sandbox refuses it.
pub fn become_subreaper() -> Result<(), Errno> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Asks for a signal when the parent dies: PR_SET_PDEATHSIG, prctl(2).
///
/// # Errors
/// As the kernel has them; a signal that exists is not refused.
pub fn set_parent_death_signal(signal: Signal) -> Result<(), Errno> {
    prctl(libc::PR_SET_PDEATHSIG, signal.number() as c_ulong)
}

/// A descriptor that stands for a process, child or not, and becomes readable when it ends: pidfd_open(2).
///
/// # Errors
/// ESRCH where there is no such process; ENOSYS before Linux 5.3; EPERM where a sandbox refuses it.
pub fn descriptor_of(pid: pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: numbers go in, a new descriptor comes out. It closes on exec: the kernel has it so.
    unsafe { made(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }
}

fn prctl(option: c_int, value: c_ulong) -> Result<(), Errno> {
    // SAFETY: both options take a number; the arguments they do not use are 0, as later kernels may ask.
    check(c_long::from(unsafe { libc::prctl(option, value, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) })).map(drop)
}

/// Room left for the frame that calls clone(2), before the child's own frames begin further down.
const GAP: usize = 512;

/// Runs `child` in a new process that borrows rinit's memory, as vfork(2) does: rinit stands still until the
/// child has executed the command or ended. Unlike fork(2) no page is copied, now or by a later write, and the
/// child's frames lie on the pages of rinit's stack that its own start-up has used already.
///
/// # Errors
/// EAGAIN, ENOMEM: a limit on processes or memory. EPERM: a sandbox.
///
/// # Safety
/// `child` runs in the same memory: what it changes stays changed. It must not unwind, and its result is the
/// new process's exit code.
// Inlined, this frame would be the caller's, which may be longer than the gap.
#[inline(never)]
pub unsafe fn spawn_sharing_memory<F: FnMut() -> u8>(child: &mut F) -> Result<pid_t, Errno> {
    extern "C" fn enter<F: FnMut() -> u8>(child: *mut c_void) -> c_int {
        // SAFETY: the address of `child` below, whose owner stands still while this runs.
        let child = unsafe { &mut *child.cast::<F>() };
        c_int::from(child())
    }
    let here = 0_u8;
    // Further down the stack, aligned as the ABIs want it.
    let top = (&raw const here).addr().wrapping_sub(GAP) & !63;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: this frame and clone's are shorter than the gap, and below them nothing on the stack is in use.
    // CLONE_VFORK keeps this frame and `child` alive and untouched until the new process has left them. Every signal
    // is blocked, so no handler runs there either.
    let pid = unsafe {
        libc::clone(enter::<F>, std::ptr::without_provenance_mut(top), flags, std::ptr::from_mut(child).cast())
    };
    check(c_long::from(pid)).map(|pid| pid as pid_t)
}

/// The C library's environment: null-terminated pointers to `NAME=value`, environ(7).
pub fn environment() -> *const *const libc::c_char {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: rinit has one thread, and nothing in it changes the environment.
    unsafe { environ }
}

/// The entries of the environment, whole: `NAME=value`.
pub fn environment_entries() -> impl Iterator<Item = &'static CStr> {
    let mut next = environment();
    std::iter::from_fn(move || {
        if next.is_null() {
            return None;
        }
        // SAFETY: environ is a null-terminated list of C strings that nothing in rinit changes, environ(7).
        unsafe {
            let entry = *next;
            if entry.is_null() {
                return None;
            }
            next = next.add(1);
            Some(CStr::from_ptr(entry))
        }
    })
}

/// The value of a variable. Not by std, which locks and copies.
pub fn variable(name: &str) -> Option<&'static OsStr> {
    let value = |entry: &'static CStr| entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    environment_entries().find_map(value).map(OsStr::from_bytes)
}

/// Clock ticks in a second, the unit of times in /proc: sysconf(3).
pub fn clock_ticks() -> u64 {
    // SAFETY: takes a number only.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100)
}

/// The time since boot, sleep included, which start times in /proc count from: clock_gettime(2).
pub fn since_boot() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is the C library's own.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
