//! What happens to those that the main child leaves behind: `--grace`, `--wait-all`.

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

/// Rounds of reaping without a look at anything else: something may leave orphans without end.
const ROUNDS: usize = 256;

/// Waits for every process left. With a grace period rinit asks them to end, and kills those that are left at the deadline. `asked` are
/// those that have been sent SIGTERM already, `job` is the group that the main child had.
pub(super) fn wait_for_others(
    config: &Config,
    scope: SignalScope,
    terminal: Option<&Terminal>,
    job: Option<pid_t>,
    asked: Option<AlreadySignalled>,
    events: &mut EventSource,
    reaper: &mut Reaper,
) {
    // Most containers are empty by now: then nobody is asked, and nothing is logged.
    if is_over(scope, reaper) {
        return;
    }
    let has_grace = !config.grace.is_zero();
    let mut deadline = None;
    if has_grace && (!config.wait_all || asked.is_some()) {
        info!("processes are left behind; they have {:?} to end", config.grace);
        // None if that is further away than a clock can tell.
        deadline = Instant::now().checked_add(config.grace);
        scope.request_exit(job, asked);
    } else {
        info!("processes are left behind; waiting until all of them have ended");
    }
    let mut more_children = true;
    loop {
        match events.next(more_children, deadline) {
            Event::Deadline => break,
            Event::Signal(info) => {
                // Ctrl-Z stops rinit as well. Without a shell nobody could continue what it stops.
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
            Event::Child => {
                let outcome = reaper.reap();
                if outcome == ReapOutcome::NoChildren && is_empty(scope, events) {
                    return;
                }
                more_children = outcome == ReapOutcome::More;
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

/// Whether nobody is left, given that rinit has no children. A process that joined from outside (docker exec, the containers of a pod) is
/// nobody's child in this namespace, so waitpid never reports it: `events` watches one of them, if /proc shows any.
fn is_empty(scope: SignalScope, events: &mut EventSource) -> bool {
    if scope.is_empty() {
        return true;
    }
    let (mut is_known, mut is_watched) = (false, false);
    let listed = scope.for_each(|process| {
        is_known = true;
        is_watched = is_watched || events.watch(process.pid);
    });
    // Zombies are for their parents outside to reap. Or the last process has ended since.
    listed.is_ok() && (!is_known || (!is_watched && scope.is_empty()))
}

/// Whether nobody is left, after those have been reaped that have ended already.
fn is_over(scope: SignalScope, reaper: &mut Reaper) -> bool {
    // The kernel tells PID 1 in one call. Zombies count as left.
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
