//! What a process has that an exec does not take away: a sandbox, children, locks, timers, a scheduling policy. Each
//! duty takes it on and becomes a command.

use std::ffi::{CStr, c_char};
use std::fs::{self, OpenOptions};
use std::mem::zeroed;
use std::os::fd::IntoRawFd;
use std::process::exit;
use std::ptr::{null, null_mut};

use libc::{c_int, c_long};

use crate::signals::next_signal;
use crate::{hex, list, set_mask};

/// Becomes a command: execv(3).
fn become_command(words: &[&CStr]) -> ! {
    let words = list(words);
    // SAFETY: a list of C strings, with a null at its end.
    unsafe { libc::execv(words[0], words.as_ptr()) };
    panic!("{}", std::io::Error::last_os_error());
}

/// In a sandbox that refuses this system call with this errno: seccomp(2).
pub fn refuse(number: c_int, errno: c_int, words: &[&CStr]) -> ! {
    sandbox(&mut [
        load(NUMBER),
        skip_unless(number as u32, 1),
        answer(libc::SECCOMP_RET_ERRNO | errno as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ]);
    become_command(words)
}

/// In a sandbox that refuses TIOCSPGRP with EPERM: tcsetpgrp(3).
pub fn refuse_foreground(words: &[&CStr]) -> ! {
    sandbox(&mut [
        load(NUMBER),
        skip_unless(libc::SYS_ioctl as u32, 3),
        load(SECOND_ARGUMENT),
        skip_unless(libc::TIOCSPGRP as u32, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ]);
    become_command(words)
}

/// Offsets in struct seccomp_data: the call's number comes first, the arguments have eight bytes each and follow the
/// architecture and the address of the instruction.
const NUMBER: u32 = 0;
const SECOND_ARGUMENT: u32 = if cfg!(target_endian = "little") { 24 } else { 28 };

/// An instruction of a classic BPF filter: code, jump if true, jump if false, value.
fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Loads the word at this offset.
fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

/// Skips so many instructions if the word is another one.
fn skip_unless(word: u32, count: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, count, word)
}

/// Ends the filter with this answer.
fn answer(answer: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
}

/// Has this filter decide about each system call from now on.
fn sandbox(filter: &mut [libc::sock_filter]) {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a filter of that length, which the kernel copies.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// With a child that sends this signal when it ends, 0 for none: clone(2). The child ends on SIGUSR2, and writes
/// `ready PID` to FILE.
pub fn with_child(signal: c_int, file: &str, words: &[&CStr]) -> ! {
    // SAFETY: without CLONE_VM it is a fork, with another signal at its end.
    let child = unsafe { libc::syscall(libc::SYS_clone, c_long::from(signal), 0, 0, 0, 0) };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        set_mask(u64::MAX);
        // The C library may not know its new pid: clone(2), C library/kernel differences.
        // SAFETY: takes and changes nothing.
        let own = unsafe { libc::syscall(libc::SYS_getpid) };
        fs::write(file, format!("ready {own}\n")).unwrap();
        while next_signal().is_some_and(|arrived| arrived.si_signo != libc::SIGUSR2) {}
        exit(0);
    }
    become_command(words)
}

/// With a child that has ended already, and has not been waited for.
pub fn with_zombie(words: &[&CStr]) -> ! {
    // SAFETY: the child ends at once. The structure is for the kernel alone.
    unsafe {
        if libc::fork() == 0 {
            libc::_exit(0);
        }
        let mut info: libc::siginfo_t = zeroed();
        assert_eq!(libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT), 0);
    }
    become_command(words)
}

/// With this signal to come when the parent dies: PR_SET_PDEATHSIG(2const).
pub fn with_parent_death_signal(signal: c_int, words: &[&CStr]) -> ! {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) }, 0);
    become_command(words)
}

/// With a record lock on a file, which stays open: fcntl(2).
pub fn with_lock(file: &str, words: &[&CStr]) -> ! {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap().into_raw_fd();
    // SAFETY: an all-zero structure is a valid one; an open descriptor, which the exec is to leave open.
    unsafe {
        let mut lock: libc::flock = zeroed();
        lock.l_type = libc::F_WRLCK as _;
        assert_eq!(libc::fcntl(file, libc::F_SETLK, &raw const lock), 0);
        assert_eq!(libc::fcntl(file, libc::F_SETFD, 0), 0);
    }
    become_command(words)
}

/// With a timer that is to go off after 50 ms: alarm(2) and setitimer(2), of which the first counts what the clock
/// shows and the others the processor's time.
pub fn with_timer(kind: &str, words: &[&CStr]) -> ! {
    let which = match kind {
        "ALARM" => libc::ITIMER_REAL,
        "VIRTUAL" => libc::ITIMER_VIRTUAL,
        "PROF" => libc::ITIMER_PROF,
        other => panic!("{other}"),
    };
    // SAFETY: an all-zero structure is a valid one.
    unsafe {
        let mut timer: libc::itimerval = zeroed();
        timer.it_value.tv_usec = 50_000;
        assert_eq!(libc::syscall(libc::SYS_setitimer, which, &raw const timer, null_mut::<u8>()), 0);
    }
    become_command(words)
}

/// struct sched_attr, in its first version: sched_setattr(2).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Under SCHED_DEADLINE, with these flags: sched(7).
pub fn with_deadline(flags: c_int, words: &[&CStr]) -> ! {
    let size = size_of::<Attributes>() as u32;
    let (runtime, period) = (2_000_000, 100_000_000);
    let attributes =
        Attributes { size, policy: 6, flags: flags as u64, runtime, deadline: period, period, ..Default::default() };
    // SAFETY: a structure of the size that it names.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    become_command(words)
}

/// The scheduling policy and all that belongs to it, as text.
pub fn scheduling() -> String {
    let mut own = Attributes::default();
    let size = size_of::<Attributes>();
    // SAFETY: a structure of the size that the call is told.
    assert_eq!(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut own, size, 0) }, 0);
    let Attributes { policy, flags, nice, priority, runtime, deadline, period, .. } = own;
    format!("policy {policy} flags {flags} nice {nice} priority {priority} time {runtime} {deadline} {period}\n")
}

/// The mask and the ignored signals, as the kernel has them: the C library's calls hide 32 and 33.
pub fn state() -> String {
    let mut mask = 0_u64;
    // SAFETY: reads the mask into eight bytes, the size of the kernel's.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, null::<u64>(), &raw mut mask, 8) };
    assert_eq!(result, 0);
    let blocked: Vec<u32> = (1..=64).filter(|number| mask >> (number - 1) & 1 == 1).collect();
    let ignored: Vec<c_int> = (1..=64).filter(|number| is_ignored(*number)).collect();
    format!("blocked {blocked:?}\nignored {ignored:?}\n")
}

fn is_ignored(signal: c_int) -> bool {
    // The kernel's structure begins with the handler on every architecture, and is smaller than this.
    let mut action = [0_usize; 16];
    // SAFETY: reads the action into a buffer that is large enough.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, null::<usize>(), action.as_mut_ptr(), 8) };
    assert_eq!(result, 0, "signal {signal}");
    action[0] == libc::SIG_IGN
}

/// What a process gets from the one before it, a line each, but for the signals' part, which is [`state`].
pub fn facts() -> String {
    // SAFETY: F_GETFD only looks.
    let descriptors: Vec<c_int> =
        (0..4096).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1).collect();
    // SAFETY: umask(2) cannot fail; the second call restores it.
    let umask = unsafe {
        let umask = libc::umask(0o777);
        libc::umask(umask);
        umask
    };
    let limits: Vec<_> = (0..16)
        .map(|resource| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the C library fills the structure.
            unsafe { libc::getrlimit(resource, &mut limit) };
            (limit.rlim_cur, limit.rlim_max)
        })
        .collect();
    let mut text = format!("descriptors {descriptors:?}\numask {umask:o}\nlimits {limits:?}\n");
    // SAFETY: these take and change nothing.
    let (pid, group, session, parent) = unsafe { (libc::getpid(), libc::getpgid(0), libc::getsid(0), libc::getppid()) };
    text += &format!("pid {pid}\ngroup {group}\nsession {session}\nparent {parent}\n");
    text += &format!(
        "directory {}\n",
        std::env::current_dir().map_or_else(|error| error.to_string(), |path| path.display().to_string())
    );
    text += &state();
    let mut at = environ();
    // SAFETY: environ(7): C strings, the last pointer is null.
    unsafe {
        while !(*at).is_null() {
            text += &format!("variable {}\n", hex(CStr::from_ptr(*at).to_bytes()));
            at = at.add(1);
        }
    }
    text
}

fn environ() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes the environment.
    unsafe { environ }
}

/// `ignore:1,2;block:17,40` for this process, then the command.
pub fn inherit(states: &str, command: &[&CStr]) -> ! {
    let mut mask = 0_u64;
    for (what, list) in states.split(';').filter_map(|state| state.split_once(':')) {
        for signal in list.split(',').map(|number| number.parse::<c_int>().unwrap()) {
            match what {
                // SAFETY: no handler is installed.
                "ignore" => assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR),
                "block" => mask |= 1 << (signal - 1),
                other => panic!("{other}"),
            }
        }
    }
    set_mask(mask);
    let words = list(command);
    // SAFETY: a list of C strings, with a null at its end.
    unsafe { libc::execv(words[0], words.as_ptr()) };
    panic!("{}", std::io::Error::last_os_error());
}
