//! Who a signal is meant for, decided in one place: those alive when it was taken, each exactly once.
//!
//! The kernel's `kill(-1)` and `kill(-GROUP)` are such a snapshot. Where they cannot be used, because rinit is no PID 1 or a value has
//! to be queued to each process, /proc is walked once. A process that was started after the moment of the signal is not meant:
//! it may have been started in answer to it.

use std::cell::Cell;
use std::time::Duration;

use libc::pid_t;
use log::{debug, warn};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::{Signal, SignalInfo, has_receiver};
use crate::procfs::{self, Process, Unreadable};
use crate::sys::process;

/// Clock ticks in a second, the unit of start times in /proc: USER_HZ, which is 100 on every architecture rinit runs on, time(7).
pub(crate) const TICKS: u64 = 100;

/// The largest number of pids: PID_MAX_LIMIT, proc(5).
const PIDS: pid_t = 1 << 22;

/// Walks over /proc until everyone has been killed. Only a program that forks without end needs more than two.
const WALKS: usize = 64;

/// The longest chain of parents. A longer one is followed no further.
const DEPTH: usize = 4096;

/// A moment, as start times in /proc have it. They count clock ticks of 10 ms, so the pid that was given out last tells which processes of
/// the same tick came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    ticks: u64,
    last_pid: Option<pid_t>,
}

impl Moment {
    /// This moment.
    pub(crate) fn now() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        let ticks = since_boot.as_millis() / u128::from(1000 / TICKS);
        Self { ticks: u64::try_from(ticks).unwrap_or(u64::MAX), last_pid: procfs::last_pid() }
    }

    /// Whether the process had been started by then. Pids are given out in ascending order, and begin anew at the largest one.
    fn has(self, process: &Process) -> bool {
        let is_behind = |last: pid_t| last.wrapping_sub(process.pid).rem_euclid(PIDS) < PIDS / 2;
        process.start < self.ticks || (process.start == self.ticks && self.last_pid.is_none_or(is_behind))
    }

    /// The clock ticks from this start time on.
    pub(crate) fn ticks_since(self, start: u64) -> u64 {
        self.ticks.saturating_sub(start)
    }
}

/// Every process that rinit answers for, and never anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalScope {
    /// rinit is PID 1: all processes but itself. `kill(-1)` reaches them, kill(2), pid_namespaces(7).
    PidNamespace,
    /// rinit is a subreaper with this pid: its descendants.
    Descendants(pid_t),
}

/// Who a signal is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipients {
    /// The main child alone.
    MainChild(pid_t),
    /// The main child's process group, and the main child if it has moved to another group.
    Job(pid_t),
    /// Everyone that rinit answers for; the main child too, while it lives.
    Everyone(SignalScope, Option<pid_t>),
}

impl Recipients {
    /// Sends a signal to them, with the value of the one that was taken, if that has one.
    pub(crate) fn send(self, signal: Signal, info: Option<&SignalInfo>) {
        let valued = info.filter(|info| info.has_value());
        match (self, valued) {
            (Self::MainChild(pid), _) => send_to_one(signal, pid, valued),
            (Self::Job(main_child), None) => send_to_job(signal, main_child),
            (Self::Job(main_child), Some(_)) => {
                send_to_one(signal, main_child, valued);
                // Values can be queued to single processes only: sigqueue(3).
                let is_member = |process: &Process| process.group == main_child && process.pid != main_child;
                if let Err(error) = send_to_each(signal, valued, is_member) {
                    warn!("{signal} with a value went to the main child alone, not to its group: {error}");
                }
            }
            (Self::Everyone(SignalScope::PidNamespace, _), None) => send_logged(signal, -1),
            (Self::Everyone(scope, main_child), _) => {
                let mut family = Family::new(scope, |_| false);
                if let Err(error) = send_to_each(signal, valued, |process| family.includes(process)) {
                    match scope {
                        SignalScope::PidNamespace => {
                            warn!("{signal} loses its value: it cannot be queued to each process: {error}");
                            send_logged(signal, -1);
                        }
                        SignalScope::Descendants(_) => {
                            warn!("cannot find the descendants to send {signal} to: {error}");
                            // The main child's group can be reached without /proc.
                            main_child.iter().for_each(|main_child| send_to_job(signal, *main_child));
                        }
                    }
                }
            }
        }
    }
}

/// Who has been sent SIGTERM already: these recipients, at that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlreadySignalled {
    /// Who it was sent to.
    pub(crate) recipients: Recipients,
    /// When.
    pub(crate) moment: Moment,
}

impl AlreadySignalled {
    fn is_main_child_alone(&self) -> bool {
        matches!(self.recipients, Recipients::MainChild(_))
    }

    fn includes(&self, process: &Process) -> bool {
        self.moment.has(process)
            && match self.recipients {
                Recipients::MainChild(pid) => process.pid == pid,
                Recipients::Job(group) => process.group == group || process.pid == group,
                Recipients::Everyone(..) => true,
            }
    }
}

impl SignalScope {
    /// Whom the process with this pid answers for.
    pub(crate) fn of(pid: pid_t) -> Self {
        if pid == 1 { Self::PidNamespace } else { Self::Descendants(pid) }
    }

    /// Whether nobody is left, not even a zombie, given that rinit has no children. A subreaper without children has no
    /// descendants. PID 1 asks the kernel: a process that joined the namespace from outside is nobody's child in it.
    pub(crate) fn is_empty(self) -> bool {
        self != Self::PidNamespace || !has_receiver(-1)
    }

    /// Asks everyone to end: SIGTERM, and SIGCONT, since a stopped process cannot act on SIGTERM. Nobody is asked twice. The helpers of a
    /// process that has been asked are left alone. `job` is the group that the main child had.
    pub(crate) fn request_exit(self, job: Option<pid_t>, already: Option<AlreadySignalled>) {
        if self == Self::PidNamespace && already.is_none() {
            return ask_namespace();
        }
        if let Err(error) = self.request_exit_of_each(job, already) {
            match self {
                Self::PidNamespace => {
                    debug!("processes that have been sent SIGTERM already are sent it again: {error}");
                    ask_namespace();
                }
                Self::Descendants(_) => warn!("cannot find the descendants to send SIGTERM to: {error}"),
            }
        }
    }

    fn request_exit_of_each(self, job: Option<pid_t>, already: Option<AlreadySignalled>) -> Result<(), Unreadable> {
        let moment = Moment::now();
        let already = Cell::new(already);
        let is_signalled = |process: &Process| already.get().is_some_and(|already| already.includes(process));
        let mut family = Family::new(self, is_signalled);
        let mut job = job.filter(|_| already.get().is_none_or(|already| already.is_main_child_alone()));
        procfs::for_each_process(|process| {
            let is_own_member = |group: &mut pid_t| *group == process.group && family.kin_of(process) != Kin::Stranger;
            let needs_continue = if let Some(group) = job.take_if(is_own_member) {
                // One call reaches the whole group, also a program that goes on in a child of its own, over and over. A zombie of such
                // a program shows as well that the group is still the command's.
                send_logged(Signal::TERM, -group);
                already.set(Some(AlreadySignalled { recipients: Recipients::Job(group), moment: Moment::now() }));
                true
            } else if !family.includes(process) {
                return;
            } else if moment.has(process) && !is_signalled(process) && family.kin_of(process) != Kin::Dependent {
                send_logged(Signal::TERM, process.pid);
                true
            } else {
                process.is_stopped()
            };
            if needs_continue {
                send_logged(Signal::CONT, process.pid);
            }
        })
        .map(drop)
    }

    /// Kills everyone, also those that are started meanwhile.
    pub(crate) fn kill(self) {
        if self == Self::PidNamespace {
            return send_logged(Signal::KILL, -1);
        }
        let mut recent = Recent::new();
        for _ in 0..WALKS {
            let mut is_complete = true;
            let walked = self.for_each(|process| {
                if !recent.contains(process) {
                    is_complete = false;
                    recent.add(process);
                    send_logged(Signal::KILL, process.pid);
                }
            });
            match walked {
                Err(error) => return warn!("cannot find the descendants to kill: {error}"),
                Ok(()) if is_complete => return,
                Ok(()) => {}
            }
        }
    }

    /// Calls `each` with everyone alive.
    ///
    /// # Errors
    /// As for [`procfs::for_each_process`].
    pub(crate) fn for_each(self, mut each: impl FnMut(&Process)) -> Result<(), Unreadable> {
        let mut family = Family::new(self, |_| false);
        procfs::for_each_process(|process| {
            if family.includes(process) {
                each(process)
            }
        })
        .map(drop)
    }
}

/// The processes that were signalled last, by pid and start time.
struct Recent {
    processes: [(pid_t, u64); REMEMBERED],
    next: usize,
}

impl Recent {
    fn new() -> Self {
        Self { processes: [(0, 0); REMEMBERED], next: 0 }
    }

    fn add(&mut self, process: &Process) {
        if let Some(entry) = self.processes.get_mut(self.next) {
            *entry = (process.pid, process.start);
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    fn contains(&self, process: &Process) -> bool {
        self.processes.contains(&(process.pid, process.start))
    }
}

/// What a process is to rinit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kin {
    /// Nobody that rinit answers for.
    Stranger,
    /// One of those that rinit answers for.
    Own,
    /// One of them, with an ancestor that is responsible for it.
    Dependent,
}

/// How often a process is looked at again because its parent has just ended.
const RETRIES: usize = 8;

/// Processes that are remembered: those signalled last, and for one walk over /proc what some parents' children are to rinit.
const REMEMBERED: usize = 64;

/// Tells rinit's own from strangers, by their chains of parents.
struct Family<F> {
    scope: SignalScope,
    own_pid: pid_t,
    is_responsible: F,
    remembered: [(pid_t, Kin); REMEMBERED],
}

impl<F: Fn(&Process) -> bool> Family<F> {
    /// Everyone that rinit answers for. `is_responsible` tells whose descendants are dependents.
    fn new(scope: SignalScope, is_responsible: F) -> Self {
        Self { scope, own_pid: process::own_pid(), is_responsible, remembered: [(0, Kin::Stranger); REMEMBERED] }
    }

    /// Whether rinit answers for this process, and it lives.
    fn includes(&mut self, process: &Process) -> bool {
        let is_own = self.scope == SignalScope::PidNamespace || self.kin_of(process) != Kin::Stranger;
        is_own && process.pid != self.own_pid && !process.is_zombie()
    }

    /// What a process is to rinit.
    fn kin_of(&mut self, process: &Process) -> Kin {
        let mut parent = process.parent;
        // A parent that has just ended has left its children to its own reaper.
        for _ in 0..RETRIES {
            if let Some(kin) = self.kin_of_child(parent) {
                return kin;
            }
            match procfs::process(process.pid) {
                Some(process) => parent = process.parent,
                None => break,
            }
        }
        Kin::Stranger
    }

    /// What the children of a process are to rinit. `None` if one of its ancestors has just ended.
    fn kin_of_child(&mut self, parent: pid_t) -> Option<Kin> {
        let mut kin = Kin::Own;
        let mut ancestor = parent;
        for _ in 0..DEPTH {
            // Nobody is above PID 1. A process that joined the namespace from outside has parent 0.
            let known = match ancestor {
                pid if pid == self.own_pid => Some(Kin::Own),
                ..=1 if self.scope == SignalScope::PidNamespace => Some(Kin::Own),
                ..=1 => Some(Kin::Stranger),
                pid => self.remembered.get(slot(pid)).filter(|(known, _)| *known == pid).map(|(_, kin)| *kin),
            };
            if let Some(known) = known {
                kin = if known == Kin::Own { kin } else { known };
                break;
            }
            let process = procfs::process(ancestor)?;
            if (self.is_responsible)(&process) {
                kin = Kin::Dependent;
            }
            ancestor = process.parent;
        }
        if let Some(entry) = self.remembered.get_mut(slot(parent)) {
            *entry = (parent, kin);
        }
        Some(kin)
    }
}

/// Where the kin of a process's children is remembered.
fn slot(pid: pid_t) -> usize {
    usize::try_from(pid).unwrap_or(0) % REMEMBERED
}

/// Sends a signal to each process that was started before this call and that `is_meant`. One walk over /proc.
fn send_to_each(
    signal: Signal,
    valued: Option<&SignalInfo>,
    mut is_meant: impl FnMut(&Process) -> bool,
) -> Result<(), Unreadable> {
    let moment = Moment::now();
    procfs::for_each_process(|process| {
        if moment.has(process) && is_meant(process) {
            send_to_one(signal, process.pid, valued);
        }
    })
    .map(drop)
}

fn send_to_one(signal: Signal, pid: pid_t, valued: Option<&SignalInfo>) {
    let result = valued.map_or_else(|| signal.send(pid), |info| info.send_on(signal, pid));
    log_delivery(signal, pid, result);
}

fn send_to_job(signal: Signal, main_child: pid_t) {
    let result = signal.send(-main_child);
    if process::group_of(main_child).is_ok_and(|group| group != main_child) {
        // The group that it has left may well be empty now.
        if !matches!(result, Ok(()) | Err(Errno::ESRCH)) {
            log_delivery(signal, -main_child, result);
        }
        return send_to_one(signal, main_child, None);
    }
    log_delivery(signal, -main_child, result);
}

/// Asks everyone in the PID namespace to end. SIGCONT comes first: a helper that somebody starts in answer to SIGTERM gets neither.
fn ask_namespace() {
    send_logged(Signal::CONT, -1);
    send_logged(Signal::TERM, -1);
}

/// Sends a signal to a process, to a group (negative) or to every process (-1), and logs what became of it.
pub(crate) fn send_logged(signal: Signal, target: pid_t) {
    log_delivery(signal, target, signal.send(target));
}

/// Logs what became of a signal. It is expected that a receiver has just ended; the rest is worth a warning.
fn log_delivery(signal: Signal, target: pid_t, result: Result<(), Errno>) {
    match result {
        Ok(()) => debug!("sent {signal} to {}", Target(target)),
        Err(Errno::ESRCH) => debug!("cannot send {signal} to {}: it has ended", Target(target)),
        Err(errno) => warn!("cannot send {signal} to {}: {}", Target(target), errno.desc()),
    }
}

/// The target of kill(2), in words.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::process as listed;

    #[test]
    fn a_moment_has_those_who_were_started_before_it_and_by_pid_those_of_its_tick() {
        // The process of these tests is of tick 100.
        let has = |ticks, last_pid, pid| Moment { ticks, last_pid }.has(&listed(pid, 1, b'S', "a"));
        assert!(has(101, Some(1), 7) && !has(99, Some(8), 7) && !has(99, None, 7));
        assert!(has(100, Some(8), 7) && has(100, Some(7), 7) && !has(100, Some(6), 7) && has(100, None, 7));
        // Pids begin anew at the largest one.
        assert!(has(100, Some(7), PIDS - 7) && !has(100, Some(PIDS - 7), 7) && !has(100, Some(PIDS / 2 + 7), 7));
    }

    #[test]
    fn this_moment_has_this_process_which_is_young() {
        let own = procfs::process(process::own_pid()).unwrap();
        let now = Moment::now();
        assert!(now.has(&own) && now.ticks_since(own.start) < 3600 * TICKS);
    }

    #[test]
    fn the_ticks_since_a_start_in_the_future_are_none() {
        let moment = Moment { ticks: 100, last_pid: None };
        assert_eq!((moment.ticks_since(40), moment.ticks_since(101)), (60, 0));
    }

    #[test]
    fn as_many_as_there_is_room_for_are_remembered() {
        let mut recent = Recent::new();
        let all: Vec<Process> = (2..=REMEMBERED as pid_t + 2).map(|pid| listed(pid, 1, b'S', "a")).collect();
        all.iter().for_each(|process| recent.add(process));
        let forgotten: Vec<pid_t> = all.iter().filter(|one| !recent.contains(one)).map(|one| one.pid).collect();
        assert_eq!(forgotten, [2], "the first one made room for the last");
    }
}
