//! The recipients of a signal, decided in one place: the processes that are alive when the signal
//! is taken. Each gets it exactly once.
//!
//! The kernel's `kill(-1)` and `kill(-GROUP)` take such a snapshot. If rinit cannot use them,
//! because it is not PID 1 or has to queue a value to each process, it walks over /proc once. A
//! process that was started after the signal was taken does not get it: it may have been started in
//! response to the signal.

use std::cell::Cell;

use libc::pid_t;
use log::{debug, warn};
use nix::errno::Errno;

use super::descent::{Descent, Relation};
use super::moment::Moment;
use super::{Signal, SignalInfo, has_receiver};
use crate::procfs::{self, Process, Unreadable};
use crate::sys::process;

/// The most walks over /proc to kill every process. One that waits for a device, or that rinit may
/// not signal, does not end.
const WALKS: usize = 64;

/// The processes that rinit is responsible for, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalScope {
    /// rinit is PID 1: all processes but rinit itself. `kill(-1)` reaches them: see kill(2),
    /// pid_namespaces(7).
    PidNamespace,
    /// rinit is a subreaper: its descendants.
    Descendants,
}

/// The recipients of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipients {
    /// The main child alone.
    MainChild(pid_t),
    /// The main child's process group, and the main child if it has moved to another group.
    Job(pid_t),
    /// Every process that rinit is responsible for. The pid is the main child's, while it lives.
    Everyone(SignalScope, Option<pid_t>),
}

impl Recipients {
    /// Sends a signal to them. `info` is the signal that was taken: if it carries a value, that is
    /// sent too.
    pub(crate) fn send(self, signal: Signal, info: Option<&SignalInfo>) {
        let valued = info.filter(|info| info.has_value());
        match (self, valued) {
            (Self::MainChild(pid), _) => send_to_one(signal, pid, valued),
            (Self::Job(main_child), None) => send_to_job(signal, main_child),
            (Self::Job(main_child), Some(_)) => {
                send_to_one(signal, main_child, valued);
                // A value can be queued only to a single process: see sigqueue(3).
                let is_member = |process: &Process| process.group == main_child && process.pid != main_child;
                if let Err(error) = send_to_each(signal, valued, is_member) {
                    warn!("{signal} with a value went to the main child alone, not to its group: {error}");
                }
            }
            (Self::Everyone(SignalScope::PidNamespace, _), None) => send_logged(signal, -1),
            (Self::Everyone(scope, main_child), _) => {
                let mut descent = Descent::new(|_| false);
                // The main child, until /proc lists it.
                let mut unlisted = main_child;
                let is_meant = |process: &Process| {
                    unlisted.take_if(|pid| *pid == process.pid);
                    descent.includes(process)
                };
                match (send_to_each(signal, valued, is_meant), scope) {
                    // /proc may hide the main child: see hidepid in proc(5).
                    (Ok(_), _) => unlisted.iter().for_each(|pid| send_to_one(signal, *pid, valued)),
                    (Err(error), SignalScope::PidNamespace) => {
                        warn!("{signal} loses its value: it cannot be queued to each process: {error}");
                        send_logged(signal, -1);
                    }
                    (Err(error), SignalScope::Descendants) => {
                        warn!("cannot find the descendants to send {signal} to: {error}");
                        // Without /proc, rinit can still reach the main child's group.
                        main_child.iter().for_each(|main_child| send_to_job(signal, *main_child));
                    }
                }
            }
        }
    }
}

/// The processes that have been sent SIGTERM already: those recipients that were alive at that
/// moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlreadySignalled {
    /// Its recipients.
    pub(crate) recipients: Recipients,
    /// When it was sent.
    pub(crate) moment: Moment,
}

impl AlreadySignalled {
    fn includes(&self, process: &Process) -> bool {
        self.moment.is_after_start_of(process)
            && match self.recipients {
                Recipients::MainChild(pid) => process.pid == pid,
                Recipients::Job(group) => process.group == group || process.pid == group,
                Recipients::Everyone(..) => true,
            }
    }
}

impl SignalScope {
    /// The scope of an init with this pid.
    pub(crate) fn of(pid: pid_t) -> Self {
        if pid == 1 { Self::PidNamespace } else { Self::Descendants }
    }

    /// Whether no process is left, not even a zombie, given that rinit has no children. A subreaper
    /// without children has no descendants. PID 1 asks the kernel, since a process that joined the
    /// namespace from outside is not its child.
    pub(crate) fn is_empty(self) -> bool {
        self != Self::PidNamespace || !has_receiver(-1)
    }

    /// Asks every process to end: with SIGTERM, and with SIGCONT, since a stopped process cannot
    /// act on SIGTERM. A process that has been asked already is not asked again. Its descendants that
    /// were started since are not asked either: they may help it to end. `job` is the process group
    /// that the main child had.
    pub(crate) fn request_exit(self, job: Option<pid_t>, already: Option<AlreadySignalled>) {
        if self == Self::PidNamespace && already.is_none() {
            return ask_namespace();
        }
        if let Err(error) = request_exit_of_each(job, already) {
            match self {
                Self::PidNamespace => {
                    debug!("processes that have been sent SIGTERM already are sent it again: {error}");
                    ask_namespace();
                }
                Self::Descendants => warn!("cannot find the descendants to send SIGTERM to: {error}"),
            }
        }
    }

    /// Kills every process, including those that are started meanwhile: until none is left.
    pub(crate) fn kill(self) {
        if self == Self::PidNamespace {
            return send_logged(Signal::KILL, -1);
        }
        let mut last_walk: Option<Moment> = None;
        for _ in 0..WALKS {
            let this_walk = Moment::now();
            let mut is_empty = true;
            let walked = self.for_each(|process| {
                is_empty = false;
                let result = Signal::KILL.send(process.pid);
                // A process that takes its time to end is logged once.
                if !last_walk.is_some_and(|last_walk| last_walk.is_after_start_of(process)) {
                    log_delivery(Signal::KILL, process.pid, result);
                }
            });
            match walked {
                Err(error) => return warn!("cannot find the descendants to kill: {error}"),
                Ok(_) if is_empty => return,
                Ok(_) => last_walk = Some(this_walk),
            }
        }
    }

    /// Calls `each` with every process in the scope that is alive. Returns whether /proc lists a
    /// process that it does not let rinit read.
    ///
    /// # Errors
    /// As for [`procfs::for_each_process`].
    pub(crate) fn for_each(self, mut each: impl FnMut(&Process)) -> Result<bool, Unreadable> {
        let mut descent = Descent::new(|_| false);
        procfs::for_each_process(|process| {
            if descent.includes(process) {
                each(process)
            }
        })
    }
}

/// Asks each process that /proc shows: see [`SignalScope::request_exit`].
fn request_exit_of_each(job: Option<pid_t>, already: Option<AlreadySignalled>) -> Result<bool, Unreadable> {
    let moment = Moment::now();
    let already = Cell::new(already);
    let is_signalled = |process: &Process| already.get().is_some_and(|already| already.includes(process));
    let is_newer = |process: &Process| already.get().is_some_and(|already| !already.moment.is_after_start_of(process));
    let mut descent = Descent::new(is_signalled);
    let mut job =
        job.filter(|_| already.get().is_none_or(|already| matches!(already.recipients, Recipients::MainChild(_))));
    procfs::for_each_process(|process| {
        let is_own_member =
            |group: &mut pid_t| *group == process.group && descent.relation_of(process) != Relation::Unrelated;
        let needs_continue = if let Some(group) = job.take_if(is_own_member) {
            // One call reaches the whole group, even a program that forks again and again and
            // goes on in the child. Even a zombie in it proves that the group's number has not
            // been used again.
            send_logged(Signal::TERM, -group);
            already.set(Some(AlreadySignalled { recipients: Recipients::Job(group), moment: Moment::now() }));
            true
        } else if !descent.includes(process) {
            return;
        } else if moment.is_after_start_of(process)
            && !is_signalled(process)
            && !(is_newer(process) && descent.relation_of(process) == Relation::Dependent)
        {
            send_logged(Signal::TERM, process.pid);
            true
        } else {
            process.is_stopped()
        };
        if needs_continue {
            send_logged(Signal::CONT, process.pid);
        }
    })
}

/// Sends a signal to each process that was started before this call and for which `is_meant`
/// returns true. Walks over /proc once.
fn send_to_each(
    signal: Signal,
    valued: Option<&SignalInfo>,
    mut is_meant: impl FnMut(&Process) -> bool,
) -> Result<bool, Unreadable> {
    let moment = Moment::now();
    procfs::for_each_process(|process| {
        if moment.is_after_start_of(process) && is_meant(process) {
            send_to_one(signal, process.pid, valued);
        }
    })
}

fn send_to_one(signal: Signal, pid: pid_t, valued: Option<&SignalInfo>) {
    let result = valued.map_or_else(|| signal.send(pid), |info| info.send_on(signal, pid));
    log_delivery(signal, pid, result);
}

fn send_to_job(signal: Signal, main_child: pid_t) {
    let result = signal.send(-main_child);
    if process::group_of(main_child).is_ok_and(|group| group != main_child) {
        // ESRCH is expected: the group that the main child has left may be empty.
        if !matches!(result, Ok(()) | Err(Errno::ESRCH)) {
            log_delivery(signal, -main_child, result);
        }
        return send_to_one(signal, main_child, None);
    }
    log_delivery(signal, -main_child, result);
}

/// Asks every process in the PID namespace to end. SIGCONT comes first, so that a helper that is
/// started in response to SIGTERM gets neither signal.
fn ask_namespace() {
    send_logged(Signal::CONT, -1);
    send_logged(Signal::TERM, -1);
}

/// Sends a signal to a process, to a group (negative) or to every process (-1), and logs the
/// result.
pub(crate) fn send_logged(signal: Signal, target: pid_t) {
    log_delivery(signal, target, signal.send(target));
}

/// Logs the result of sending a signal. ESRCH is expected, since a receiver may have just ended.
/// Other errors are warnings.
fn log_delivery(signal: Signal, target: pid_t, result: Result<(), Errno>) {
    match result {
        Ok(()) => debug!("sent {signal} to {}", Target(target)),
        Err(Errno::ESRCH) => debug!("cannot send {signal} to {}: it has ended", Target(target)),
        Err(errno) => warn!("cannot send {signal} to {}: {}", Target(target), errno.desc()),
    }
}

/// The target of kill(2), as text.
struct Target(pid_t);

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            -1 => out.write_str("every process"),
            group @ ..0 => write!(out, "process group {}", group.unsigned_abs()),
            pid => write!(out, "process {pid}"),
        }
    }
}
