//! What a test does to any process, and what /proc says about it.

use std::fs;
use std::process::Command;

use libc::{c_int, pid_t};

use super::running::rinit;
use super::wait::wait_until;

/// Sends a signal to any process.
pub fn kill(pid: pid_t, signal: c_int) {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "cannot send {signal} to {pid}");
}

/// Queues a real-time or other signal that many times, with values from 0 up.
pub fn queue(pid: pid_t, signal: c_int, count: usize) {
    for value in 0..count {
        queue_one(pid, signal, value);
    }
}

/// Queues a signal once, with a value.
pub fn queue_one(pid: pid_t, signal: c_int, value: usize) {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    // SAFETY: numbers only; nobody looks behind the value.
    assert_eq!(unsafe { libc::sigqueue(pid, signal, value) }, 0, "cannot queue {signal} to {pid}");
}

/// Queues a signal once, with a value and the code that tells where it comes from: rt_sigqueueinfo(2).
pub fn queue_info(pid: pid_t, signal: c_int, code: c_int, value: usize) {
    // SAFETY: an all-zero siginfo_t is a valid one; `Queued` is the start of one that was queued with a value.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        info.si_signo = signal;
        info.si_code = code;
        let sent = (&raw mut info).cast::<Queued>();
        (*sent).pid = libc::getpid();
        (*sent).value = value;
        let result = libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, &raw const info);
        assert_eq!(result, 0, "cannot queue {signal} to {pid}: {}", std::io::Error::last_os_error());
    }
}

/// The start of a siginfo_t whose signal was queued with a value: sigaction(2).
#[repr(C)]
struct Queued {
    numbers: [c_int; 3],
    /// Where a word has eight bytes, what follows is at a multiple of that.
    #[cfg(target_pointer_width = "64")]
    gap: c_int,
    pid: pid_t,
    user: libc::uid_t,
    value: usize,
}

/// For a program that enters the PID namespace of this process from outside, as `docker exec` and the containers of a pod
/// do: its parent, nsenter(1), stays out there.
pub fn in_pid_namespace_of(pid: pid_t) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--pid=/proc/{pid}/ns/pid"));
    command
}

/// Waits until a process that a runtime has started is rinit: it may still be the runtime's own, on its way to it.
pub fn wait_until_rinit(pid: pid_t) {
    let binary = fs::read(rinit()).unwrap();
    wait_until("the runtime to become rinit", || (fs::read(format!("/proc/{pid}/exe")).ok()? == binary).then_some(()));
}

/// The children of a process, zombies included, the oldest first.
pub fn children(pid: pid_t) -> Vec<pid_t> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// The children of a process, their children and so on.
pub fn descendants(pid: pid_t) -> Vec<pid_t> {
    let children = children(pid);
    let further: Vec<pid_t> = children.iter().copied().flat_map(descendants).collect();
    [children, further].concat()
}

/// The zombies among the children of a process.
pub fn count_zombies(pid: pid_t) -> usize {
    children(pid).into_iter().filter(|child| state(*child) == Some('Z')).count()
}

/// The state of a process, one letter.
pub fn state(pid: pid_t) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process waits for a signal by sigtimedwait(2).
pub fn is_waiting(pid: pid_t) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|function| function.contains("sigtimedwait"))
}

/// Whether it does so for as long as it takes.
pub fn is_waiting_without_deadline(pid: pid_t) -> bool {
    // The number and arguments of the call: proc_pid_syscall(5). The third one is how long rt_sigtimedwait(2) waits.
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let words: Vec<&str> = call.split_ascii_whitespace().collect();
    words.first() == Some(&libc::SYS_rt_sigtimedwait.to_string().as_str()) && words.get(3) == Some(&"0x0")
}

/// Whether a process waits for input: in read(2) on a terminal, or in poll(2) or a call like it. One that is stopped in
/// the midst of such a call does not.
pub fn is_waiting_for_input(pid: pid_t) -> bool {
    if state(pid) != Some('S') {
        return false;
    }
    // proc_pid_syscall(5): the call's number and its arguments, or "running".
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let words: Vec<&str> = call.split_ascii_whitespace().collect();
    let [number, descriptor, ..] = words[..] else { return false };
    let Ok(number) = number.parse() else { return false };
    let is_terminal = || {
        let descriptor = u32::from_str_radix(descriptor.trim_start_matches("0x"), 16).ok()?;
        let file = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
        Some(file.starts_with("/dev/pts") || file.starts_with("/dev/tty"))
    };
    [libc::SYS_ppoll, libc::SYS_pselect6].contains(&number)
        || OLD_POLLS.contains(&number)
        || number == libc::SYS_read && is_terminal() == Some(true)
}

/// Calls like poll(2) that later architectures do not have.
#[cfg(target_arch = "x86_64")]
const OLD_POLLS: [libc::c_long; 2] = [libc::SYS_poll, libc::SYS_select];
#[cfg(not(target_arch = "x86_64"))]
const OLD_POLLS: [libc::c_long; 0] = [];

/// A line of `/proc/PID/status`.
pub fn status_line(pid: pid_t, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The descriptors that a process holds.
pub fn open_descriptors(pid: pid_t) -> Vec<u32> {
    let list = fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut numbers: Vec<u32> =
        list.into_iter().map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}
