//! Processes: the child that shares rinit's memory until its exec, the signal on a parent's death,
//! scheduling.

use std::ffi::{CStr, c_void};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::OwnedFd;
use std::ptr;

use libc::{c_int, c_long, c_uint, c_ulong, pid_t};
use nix::errno::Errno;

use super::arguments::Arguments;
use super::memory::Memory;
use super::{check, environment, owned_fd};

/// rinit's own pid: 1 if it is the init of its PID namespace, see pid_namespaces(7).
pub(crate) fn own_pid() -> pid_t {
    nix::unistd::getpid().as_raw()
}

/// The same for a process that has one thread and its memory for itself. musl knows the thread's
/// number without a system call. nix would make the system call.
pub(crate) fn own_pid_at_start() -> pid_t {
    // SAFETY: the function takes no argument.
    unsafe { libc::gettid() }
}

/// The process group of a process: see getpgid(2).
///
/// # Errors
/// ESRCH if there is no such process.
pub(crate) fn group_of(pid: pid_t) -> Result<pid_t, Errno> {
    nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).map(nix::unistd::Pid::as_raw)
}

/// Asks for a signal when the parent dies: see PR_SET_PDEATHSIG(2const). nix's call takes no
/// real-time signals.
///
/// # Errors
/// EPERM or ENOSYS if a sandbox refuses it.
pub(crate) fn set_parent_death_signal(number: c_int) -> Result<(), Errno> {
    // SAFETY: the call takes only numbers. The unused arguments are 0, since later kernels may
    // require that.
    let result =
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    check(c_long::from(result)).map(drop)
}

/// A descriptor for a process, child or not. It is readable once the process has ended: see
/// pidfd_open(2).
///
/// # Errors
/// ESRCH if there is no such process; ENOSYS before Linux 5.3; EPERM if a sandbox refuses it.
pub(crate) fn descriptor(pid: pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes only numbers, and returns a new descriptor. The kernel sets it to
    // close on exec.
    unsafe { owned_fd(libc::syscall(libc::SYS_pidfd_open, c_long::from(pid), 0 as c_long)) }
}

/// The scheduling policy and nice value of a process: struct sched_attr, see sched_setattr(2).
pub(crate) struct Scheduling(libc::sched_attr);

impl Scheduling {
    /// The scheduling of a process; 0 is the caller: see sched_getattr(2).
    ///
    /// # Errors
    /// EPERM or ENOSYS if a sandbox refuses it.
    pub(crate) fn of(pid: pid_t) -> Result<Self, Errno> {
        let mut attributes = MaybeUninit::<libc::sched_attr>::zeroed();
        let (room, size) = (attributes.as_mut_ptr(), size_of::<libc::sched_attr>());
        // SAFETY: the kernel is told the true size of the structure. All-zero bytes are a valid one.
        unsafe {
            check(libc::syscall(libc::SYS_sched_getattr, c_long::from(pid), room, size, 0 as c_long))?;
            Ok(Self(attributes.assume_init()))
        }
    }

    /// Whether a child does not inherit it: see SCHED_RESET_ON_FORK in sched(7).
    pub(crate) fn is_reset_on_fork(&self) -> bool {
        self.0.sched_flags & 1 != 0
    }

    /// Whether its policy is SCHED_DEADLINE, which forbids a process to fork: see sched(7).
    pub(crate) fn is_deadline(&self) -> bool {
        self.0.sched_policy == libc::SCHED_DEADLINE as c_uint
    }

    /// Applies it to the caller: see sched_setattr(2).
    ///
    /// # Errors
    /// EPERM without CAP_SYS_NICE.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        let attributes = ptr::from_ref(&self.0);
        // SAFETY: the structure holds its size, and the call only reads it.
        check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0 as c_long, attributes, 0 as c_long) }).map(drop)
    }
}

/// The size of the child's stack. Its deepest use is the message that exec failed: 4 KiB for the
/// file's name, 4 KiB for the line, and the frames. A signal handler may come on top: its frame
/// takes up to 68 KiB on processors with registers of that size (SVE). Pages that are never touched
/// cost nothing.
const STACK: usize = 128 * 1024;

static CHILD_STACK: Memory<STACK> = Memory::new();

/// Runs `child` in a new process that shares rinit's memory until it executes a program or ends, as
/// vfork(2) does. rinit is suspended meanwhile. Unlike with fork(2), no page is copied, neither now
/// nor by a later write.
///
/// # Errors
/// EAGAIN or ENOMEM at a limit on processes or memory; EPERM if a sandbox refuses it.
///
/// # Safety
/// What `child` changes stays changed for the caller. `child` must not unwind. Two threads must not
/// call this function at the same time.
pub(crate) unsafe fn spawn_sharing_memory<F: FnMut() -> u8>(child: &mut F) -> Result<pid_t, Errno> {
    extern "C" fn enter<F: FnMut() -> u8>(child: *mut c_void) -> c_int {
        // SAFETY: this is the address of `child` below. Its owner is suspended while this runs.
        let child = unsafe { &mut *child.cast::<F>() };
        c_int::from(child())
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: only the child uses the stack, which grows down from its top. CLONE_VFORK suspends
    // the caller, and so keeps `child` alive and untouched, until the new process no longer uses
    // it.
    let pid = unsafe { libc::clone(enter::<F>, CHILD_STACK.top().cast(), flags, ptr::from_mut(child).cast()) };
    check(c_long::from(pid)).map(|pid| pid as pid_t)
}

/// Executes a program with these arguments and rinit's environment: see execve(2). Returns only if
/// the kernel refuses.
pub(crate) fn execute(file: &CStr, arguments: Arguments) -> Errno {
    // SAFETY: the file is a C string. The lists hold C strings and end with a null pointer. That of
    // the environment may be null, which Linux takes for an empty one.
    unsafe { libc::execve(file.as_ptr(), arguments.pointers(), environment::pointers()) };
    Errno::last()
}

/// Has a shell execute a script with these arguments. Returns only if that fails. If it succeeds, a
/// process that shares the memory has to restore the first word, which the script's path replaces.
pub(crate) fn execute_by_shell(shell: &'static CStr, script: &CStr, arguments: Arguments) -> Errno {
    let name = arguments.first().unwrap_or_default();
    let Some(words) = arguments.for_shell(shell, script) else { return Errno::ENOEXEC };
    let errno = execute(shell, words);
    arguments.set_first(name);
    errno
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childs_stack_has_room_for_a_handlers_frame_and_a_message() {
        let mut places = [0; 2];
        let mut child = || {
            let frame = [0_u8; (68 + 8) * 1024];
            places = [std::hint::black_box(&frame).as_ptr().addr(), ptr::from_ref(&frame).addr() + frame.len()];
            0
        };
        let mut status = -1;
        // SAFETY: no other test calls this function. The child only writes to its stack and to
        // `places`.
        unsafe {
            let pid = spawn_sharing_memory(&mut child).unwrap();
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        }
        assert_eq!(status, 0);
        let [start, end] = places;
        assert!(CHILD_STACK.start().addr() <= start && end <= CHILD_STACK.top().addr());
    }
}
