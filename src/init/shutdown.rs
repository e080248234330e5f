//! What happens to the processes that the main child leaves behind: `--grace`, `--wait-all`.

use std::time::Instant;

use libc::pid_t;
use log::{info, warn};

use super::events::{Event, EventSource};
use super::forward;
use super::job_control::Terminal;
use super::reap::{ReapOutcome, Reaper};
use crate::config::Config;
use crate::logging;
use crate::signal::scope::{AlreadySignalled, Recipients, SignalScope};
use crate::signal::{Origin, Signal};

/// The most batches to reap in a row, since orphans may come without end.
const ROUNDS: usize = 256;

/// Waits until no process is left. With a grace period, rinit asks the processes to end, and kills
/// those that are left at the deadline. `asked` are the processes that have been sent SIGTERM
/// already, `job` is the process group that the main child had.
pub(super) fn wait_for_others(
    config: &Config,
    scope: SignalScope,
    terminal: Option<&Terminal>,
    job: Option<pid_t>,
    asked: Option<AlreadySignalled>,
    events: &mut EventSource,
    reaper: &mut Reaper,
) {
    // In most containers no process is left. Then rinit asks none and logs nothing.
    if is_over(scope, reaper) {
        return;
    }
    let has_grace = !config.grace.is_zero();
    let mut deadline = None;
    if has_grace && (!config.wait_all || asked.is_some()) {
        info!("processes are left behind; they have {:?} to end", config.grace);
        // `None` if the deadline is too far away for the clock: then there is none.
        deadline = Instant::now().checked_add(config.grace);
        scope.request_exit(job, asked);
    } else {
        info!("processes are left behind; waiting until all of them have ended");
    }
    let mut reap_again = true;
    loop {
        match events.next(reap_again, deadline) {
            Event::Deadline => break,
            Event::Signal(info) => {
                // From here on `terminal` is `Some` only for a Ctrl-Z. Under a shell, that stops
                // rinit as well. Without a shell, no process could continue what it stops, so rinit
                // drops it.
                let terminal = terminal.filter(|_| info.signal == Signal::TSTP && info.origin() == Origin::Kernel);
                let is_dropped = terminal.is_some_and(|terminal| !terminal.has_job_control());
                if let Some(signal) = forward::rewrite(config, &info).filter(|_| !is_dropped) {
                    Recipients::Everyone(scope, None).send(signal, Some(&info));
                    if signal == Signal::TERM && has_grace && deadline.is_none() {
                        deadline = Instant::now().checked_add(config.grace);
                    }
                }
                if let Some(terminal) = terminal.filter(|_| !is_dropped) {
                    terminal.suspend();
                }
            }
            Event::Reap => {
                let outcome = reaper.reap();
                if outcome == ReapOutcome::NoChildren && is_empty(scope, events) {
                    return;
                }
                reap_again = outcome == ReapOutcome::More;
            }
        }
        logging::report_dropped();
    }
    warn!("the grace period is over: killing every process left");
    scope.kill();
    for _ in 0..ROUNDS {
        if reaper.reap() != ReapOutcome::More {
            return;
        }
    }
}

/// Whether no process is left, given that rinit has no children. A process that joined from outside
/// (docker exec, the containers of a pod) is not our child, so waitpid never reports it. If /proc
/// shows such processes, `events` watches one of them.
fn is_empty(scope: SignalScope, events: &mut EventSource) -> bool {
    if scope.is_empty() {
        return true;
    }
    let (mut is_known, mut is_watched) = (false, false);
    let listed = scope.for_each(|process| {
        is_known = true;
        is_watched = is_watched || events.watch(process.pid);
    });
    // If /proc shows no process that lives, only zombies are left, and their parents outside have
    // to reap them. If no process could be watched, the last one may have ended since.
    listed.is_ok() && (!is_known || (!is_watched && scope.is_empty()))
}

/// Reaps the children that have ended. Returns whether no process is left then.
fn is_over(scope: SignalScope, reaper: &mut Reaper) -> bool {
    // PID 1 finds out with one system call, which counts zombies as processes that are left.
    if scope == SignalScope::PidNamespace && scope.is_empty() {
        return true;
    }
    for _ in 0..ROUNDS {
        match reaper.reap() {
            ReapOutcome::More => {}
            ReapOutcome::NoChildren => return scope.is_empty(),
            _ => return false,
        }
    }
    false
}
