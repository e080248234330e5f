//! The one place where rinit waits: for a signal, for a child that changed, for a deadline.

use std::time::{Duration, Instant};

use libc::pid_t;
use log::{trace, warn};
use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};

use super::watch::Watch;
use crate::signal::{self, Origin, Signal, SignalInfo, SignalSet};

/// What rinit wakes up for.
pub(super) enum Event {
    /// A child changed state, or may have: one SIGCHLD can stand for many. Or a process that is watched has ended.
    Child,
    /// A signal was taken.
    Signal(SignalInfo),
    /// The deadline has passed.
    Deadline,
}

/// The kernel hands out the pending signal with the lowest number first. So an endless supply of one would keep the others waiting
/// for ever: SIGCHLD (17) those above it, and those below it SIGCHLD. After this many of one kind in a row, rinit looks for the
/// other kind.
const IN_A_ROW: u32 = 32;

/// The longest pause after a wait that failed, in milliseconds.
const LONGEST_PAUSE: u8 = 100;

/// Failures in a row that are expected: a freezer (docker pause, a suspended laptop) and a tracer interrupt the wait, signal(7).
const EXPECTED_FAILURES: u8 = 32;

/// Where signals are taken from. All of them are blocked, so each stays pending until then.
#[derive(Debug, Default)]
pub(super) struct EventSource {
    children_in_a_row: u32,
    signals_in_a_row: u32,
    failures_in_a_row: u8,
    watched: Option<Watch>,
}

impl EventSource {
    /// Waits for the next event. `more_children`: the last round of reaping stopped early. Then signals are only looked for, and
    /// reaping goes on.
    pub(super) fn next(&mut self, more_children: bool, deadline: Option<Instant>) -> Event {
        // Checked first, so that a steady stream of events cannot postpone the deadline.
        if time_left(deadline).is_some_and(|left| left.is_zero()) {
            return Event::Deadline;
        }
        if self.signals_in_a_row >= IN_A_ROW {
            self.signals_in_a_row = 0;
            return Event::Child;
        }
        if more_children || self.children_in_a_row >= IN_A_ROW {
            self.children_in_a_row = 0;
            if let Ok(info) = signal::wait(SignalSet::ALL.without(Signal::CHLD), Some(Duration::ZERO)) {
                return self.taken(info);
            }
            if more_children {
                self.signals_in_a_row = 0;
                return Event::Child;
            }
        }
        if self.watched_has_ended(deadline) {
            return Event::Child;
        }
        match signal::wait(SignalSet::ALL, time_left(deadline)) {
            Ok(info) => self.taken(info),
            // Also if the time is over. The next call looks at the clock.
            Err(errno) => {
                self.wait_failed(errno);
                Event::Child
            }
        }
    }

    /// Watches a process that is not a child through a pidfd: `next` returns [`Event::Child`] when it ends. Returns false if that
    /// fails.
    pub(super) fn watch(&mut self, pid: pid_t) -> bool {
        self.watched = Watch::on(pid).ok();
        self.watched.is_some()
    }

    /// Waits for the end of the watched process, as long as no signal is pending. After a failure only signals and the deadline are
    /// waited for.
    fn watched_has_ended(&mut self, deadline: Option<Instant>) -> bool {
        let Some(watch) = &self.watched else { return false };
        let result = watch.wait(time_left(deadline));
        if !matches!(result, Ok(false) | Err(Errno::EINTR)) {
            self.watched = None;
        }
        result == Ok(true)
    }

    /// An interrupted wait is no failure. One that fails over and over is made ever more seldom, so that rinit neither spins nor goes
    /// deaf: children are reaped and the deadline is kept meanwhile.
    fn wait_failed(&mut self, errno: Errno) {
        if self.failures_in_a_row == EXPECTED_FAILURES {
            warn!("cannot wait for signals: {}; trying again", errno.desc());
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row > 1 {
            let _ = poll(&mut [], PollTimeout::from(self.failures_in_a_row.min(LONGEST_PAUSE)));
        }
    }

    fn taken(&mut self, info: SignalInfo) -> Event {
        self.failures_in_a_row = 0;
        trace!("took {} ({:?})", info.signal, info.origin());
        if info.signal == Signal::CHLD {
            self.signals_in_a_row = 0;
            self.children_in_a_row += 1;
            return Event::Child;
        }
        self.children_in_a_row = 0;
        // A child that rinit inherited may send another signal than SIGCHLD when it ends: clone(2). So after a signal of the
        // kernel's rinit looks at the children.
        self.signals_in_a_row = if info.origin() == Origin::Kernel { IN_A_ROW } else { self.signals_in_a_row + 1 };
        Event::Signal(info)
    }
}

fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Number, raise};

    /// The next event while these signals are pending for the test's thread, which blocks all.
    fn next(events: &mut EventSource, pending: &[Number]) -> Event {
        signal::set_mask(SignalSet::ALL).unwrap();
        pending.iter().for_each(|number| raise(*number).unwrap());
        events.next(false, None)
    }

    #[test]
    fn children_without_end_do_not_hold_up_a_signal() {
        let mut events = EventSource::default();
        // SIGCHLD has the lower number, so the kernel hands it out first.
        let is_child = |_: &u32| matches!(next(&mut events, &[Number::SIGCHLD, Number::SIGWINCH]), Event::Child);
        assert_eq!((0..2 * IN_A_ROW).take_while(is_child).count(), IN_A_ROW as usize);
    }

    #[test]
    fn signals_without_end_do_not_hold_up_children() {
        let mut events = EventSource::default();
        let mut is_signal =
            |_: &u32| matches!(next(&mut events, &[Number::SIGUSR1, Number::SIGCHLD]), Event::Signal(_));
        for _ in 0..2 {
            assert_eq!((0..2 * IN_A_ROW).take_while(&mut is_signal).count(), IN_A_ROW as usize);
        }
    }
}
