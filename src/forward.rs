//! Forwarding: which signals, to whom, and what becomes of an error. It never ends rinit.

use libc::pid_t;
use log::{debug, warn};
use nix::errno::Errno;

use crate::config::Target;
use crate::everyone::Everyone;
use crate::processes;
use crate::sys::process;
use crate::sys::signal::{self, Arrived, Signal};

/// Whether rinit forwards it: every signal that can be caught, but the kernel's own word about children, and
/// the two that the C libraries keep for their threads, pthreads(7), nptl(7).
pub fn is_forwarded(signal: Signal) -> bool {
    signal.can_be_caught() && signal != Signal::CHLD && !matches!(signal.number(), 32 | 33)
}

/// Sends `signal` on, for the one that arrived: with its value, where that was queued with one.
pub fn forward(arrived: &Arrived, signal: Signal, target: Target, main_child: pid_t, everyone: Everyone) {
    match target {
        Target::MainChild => note(signal, main_child, one(arrived, signal, main_child)),
        Target::Group => group(arrived, signal, main_child),
        Target::Everyone => everyone.send(signal, Some(arrived)),
    }
}

/// To the main child's own group, and to the main child where it has moved to another one.
fn group(arrived: &Arrived, signal: Signal, main_child: pid_t) {
    if arrived.has_value() {
        return queue_to_group(arrived, signal, main_child);
    }
    let sent = signal::send(-main_child, Some(signal));
    if process::group_of(main_child).is_ok_and(|group| group != main_child) {
        // The group may well be empty now.
        if !matches!(sent, Ok(()) | Err(Errno::ESRCH)) {
            note(signal, -main_child, sent);
        }
        note(signal, main_child, signal::send(main_child, Some(signal)));
    } else {
        note(signal, -main_child, sent);
    }
}

/// A value can be queued to single processes only, sigqueue(3): to each member of the group that /proc shows,
/// and to the main child in any case.
fn queue_to_group(arrived: &Arrived, signal: Signal, main_child: pid_t) {
    note(signal, main_child, one(arrived, signal, main_child));
    match processes::list() {
        Ok(all) => {
            for member in all.iter().filter(|process| process.group == main_child && process.pid != main_child) {
                note(signal, member.pid, one(arrived, signal, member.pid));
            }
        }
        Err(error) => warn!(
            "{signal} with a value went to the main child alone: the others of its group cannot be found without /proc: {error}"
        ),
    }
}

/// To one process, with the value where there is one.
pub fn one(arrived: &Arrived, signal: Signal, pid: pid_t) -> Result<(), Errno> {
    if arrived.has_value() { signal::send_on(pid, signal, arrived) } else { signal::send(pid, Some(signal)) }
}

/// What became of a signal. That its receiver has just ended is everyday; the rest is worth a warning.
pub fn note(signal: Signal, target: pid_t, result: Result<(), Errno>) {
    let (whom, target) =
        if target < 0 { ("process group", target.unsigned_abs()) } else { ("process", target.unsigned_abs()) };
    match result {
        Ok(()) => debug!("sent {signal} to {whom} {target}"),
        Err(Errno::ESRCH) => debug!("nobody left to send {signal} to: {whom} {target} has ended"),
        Err(errno) => warn!("cannot send {signal} to {whom} {target}: {}", errno.desc()),
    }
}
