//! What happens to the processes that the main child leaves behind: `--grace`, `--wait-all`.

use std::time::Instant;

use libc::pid_t;
use log::{info, warn};

use super::events::{Event, EventSource};
use super::reap::ReapOutcome;
use super::terminal::Terminal;
use super::{forward, job_control};
use crate::config::Config;
use crate::signal::scope::{AlreadySignalled, Recipients, SignalScope, send_logged};
use crate::signal::{Origin, Signal, SignalInfo};
use crate::sys::process;

/// The most batches to reap in a row, since orphans may come without end.
const ROUNDS: usize = 256;

/// The processes that the main child leaves behind.
pub(super) struct Leftovers<'a> {
    /// Which processes rinit is responsible for.
    pub(super) scope: SignalScope,
    /// The main child that has ended. Its process group may still have members.
    pub(super) main_child: Option<pid_t>,
    /// The controlling terminal, if there is one.
    pub(super) terminal: Option<&'a Terminal>,
    /// Those that have been sent SIGTERM already.
    pub(super) asked: Option<AlreadySignalled>,
}

impl Leftovers<'_> {
    /// Waits until no process is left. With a grace period, rinit asks the processes to end, and
    /// kills those that are left at the deadline. Without either option, rinit does not wait.
    pub(super) fn wait(&self, config: &Config, events: &mut EventSource) {
        let has_grace = !config.grace.is_zero();
        if !(has_grace || config.wait_all) {
            return self.end_group(config);
        }
        // In most containers no process is left. Then rinit asks none and logs nothing.
        if is_over(self.scope, events) {
            return;
        }
        let mut deadline = None;
        if has_grace && (!config.wait_all || self.asked.is_some()) {
            info!("processes are left behind; they have {:?} to end", config.grace);
            // `None` if the deadline is too far away for the clock: then there is none.
            deadline = Instant::now().checked_add(config.grace);
            self.scope.request_exit(self.main_child, self.asked);
        } else {
            info!("processes are left behind; waiting until all of them have ended");
        }
        events.reap_again = true;
        loop {
            match events.next(deadline) {
                Event::Deadline => break,
                Event::Signal(info) => {
                    let signal = self.receive(config, &info);
                    if signal == Some(Signal::TERM) && has_grace && deadline.is_none() {
                        deadline = Instant::now().checked_add(config.grace);
                    }
                }
                Event::Reaped(ReapOutcome::NoChildren) if is_empty(self.scope, events) => return,
                Event::Reaped(ReapOutcome::Failed(errno)) if deadline.is_none() => {
                    return warn!("cannot wait for the processes that are left: {}", errno.desc());
                }
                Event::Reaped(_) => {}
            }
        }
        warn!("the grace period is over: killing every process left");
        self.scope.kill();
        reap_all(events);
    }

    /// Sends SIGTERM to the main child's group, under the name of dumb-init. With `--grace` or
    /// `--wait-all`, that option says who is asked to end.
    fn end_group(&self, config: &Config) {
        if config.persona.ends_group
            && config.starts_session()
            && let (Some(main_child), Some(signal)) = (self.main_child, config.rewrites.apply(Signal::TERM))
        {
            // If the group is empty, its number is free again, as with the original.
            send_logged(signal, -main_child);
        }
    }

    /// Rewrites and forwards a signal that was taken. Returns the signal that was sent.
    fn receive(&self, config: &Config, info: &SignalInfo) -> Option<Signal> {
        let signal = forward::rewrite(config, info);
        let is_ctrl_z = info.signal == Signal::TSTP && info.origin() == Origin::Kernel;
        let terminal = self.terminal.filter(|_| is_ctrl_z);
        if terminal.is_some_and(|terminal| !terminal.has_job_control) {
            // Without a shell, no process could continue what the Ctrl-Z stops.
            return None;
        }
        if let Some(signal) = signal {
            Recipients::Everyone(self.scope, None).send(signal, Some(info));
        }
        if terminal.is_some() {
            // The terminal has stopped the rest of the job.
            job_control::stop(process::own_pid());
        }
        signal
    }
}

/// Whether no process is left, given that rinit has no children. A process that joined from outside
/// (docker exec, the containers of a pod) is not our child, so wait4(2) never reports it. If /proc
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
    is_known |= listed == Ok(true);
    // Without /proc or a pidfd, rinit has to look again and again.
    events.look_again(!is_watched && (is_known || listed.is_err()));
    // If /proc shows no process that lives, only zombies are left, and their parents outside have
    // to reap them. If no process could be watched, the last one may have ended since.
    listed.is_ok() && (!is_known || (!is_watched && scope.is_empty()))
}

/// Whether no process is left, once the children that have ended are reaped.
fn is_over(scope: SignalScope, events: &mut EventSource) -> bool {
    // PID 1 finds out with one system call, which counts zombies as processes that are left.
    (scope == SignalScope::PidNamespace && scope.is_empty())
        || (matches!(reap_all(events), ReapOutcome::NoChildren) && scope.is_empty())
}

/// Reaps the children that have ended, but not without limit. Returns the last round's outcome.
fn reap_all(events: &mut EventSource) -> ReapOutcome {
    (0..ROUNDS).map(|_| events.reap()).find(|outcome| !outcome.stops_early()).unwrap_or(ReapOutcome::More)
}
