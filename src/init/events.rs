//! The one place where rinit waits: for a signal, for a child that changed, for a deadline.

use std::time::{Duration, Instant};

use libc::pid_t;
use log::{trace, warn};
use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};

use super::reap::{ReapOutcome, Reaper};
use super::watch::Watch;
use crate::logging;
use crate::signal::{self, Signal, SignalInfo, SignalSet};

/// Why rinit wakes up.
pub(super) enum Event {
    /// A signal was taken.
    Signal(SignalInfo),
    /// rinit has looked for children to reap, and this is what it found, perhaps nothing. One
    /// SIGCHLD can stand for many children.
    Reaped(ReapOutcome),
    /// The deadline has passed.
    Deadline,
}

/// The kernel delivers the pending signal with the lowest number first, apart from those of faults.
/// So an endless stream of SIGCHLD (17) would hold up every signal above it, and an endless stream
/// of a signal below it would hold up SIGCHLD. After this many events of one kind in a row, rinit
/// checks for the other kind.
const IN_A_ROW: u32 = 32;

/// The longest pause after a call that failed, in milliseconds.
const LONGEST_PAUSE: u8 = 100;

/// Failures in a row that rinit does not warn of: a freezer (docker pause, a suspended laptop) or a
/// tracer interrupts the wait, see signal(7).
const EXPECTED_FAILURES: u8 = 32;

/// After this many failures of reaping in a row, rinit gives up its main child.
const REAP_FAILURES: u8 = 50;

/// The time between two looks at processes that cannot be watched.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Takes the pending signals and reaps children. All signals are blocked, so each stays pending
/// until rinit takes it.
pub(super) struct EventSource {
    pub(super) reaper: Reaper,
    /// Whether there may be children to reap for which no further signal comes. Then `next` reaps
    /// without waiting; a pending signal or the deadline comes first.
    pub(super) reap_again: bool,
    children_in_a_row: u32,
    signals_in_a_row: u32,
    failures_in_a_row: u8,
    reap_failures_in_a_row: u8,
    watched: Option<Watch>,
    /// Whether there are processes whose end rinit has to find out by looking.
    looks_again: bool,
}

impl EventSource {
    /// Events of the children that this reaper reaps, and all signals.
    pub(super) fn new(reaper: Reaper) -> Self {
        Self {
            reaper,
            reap_again: false,
            children_in_a_row: 0,
            // A child may have ended before rinit was executed. No signal tells of it, so the first
            // event is a round of reaping.
            signals_in_a_row: IN_A_ROW,
            failures_in_a_row: 0,
            reap_failures_in_a_row: 0,
            watched: None,
            looks_again: false,
        }
    }

    /// Waits for the next event.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Event {
        logging::report_dropped();
        // Checked first, so that a steady stream of events cannot postpone the deadline.
        if time_left(deadline).is_some_and(|left| left.is_zero()) {
            return Event::Deadline;
        }
        match self.next_signal(deadline) {
            Some(info) => Event::Signal(info),
            None => Event::Reaped(self.reap_patiently()),
        }
    }

    /// Reaps a batch of children now.
    pub(super) fn reap(&mut self) -> ReapOutcome {
        let outcome = self.reaper.reap();
        self.reap_again = outcome.stops_early();
        outcome
    }

    /// Reaps a batch of children. After a failure, this pauses, so that rinit does not spin, and
    /// the next call tries again. Returns the failure only if there were too many in a row.
    fn reap_patiently(&mut self) -> ReapOutcome {
        let outcome = self.reap();
        if !matches!(outcome, ReapOutcome::Failed(_)) {
            self.reap_failures_in_a_row = 0;
            return outcome;
        }
        self.reap_failures_in_a_row = self.reap_failures_in_a_row.saturating_add(1);
        if self.reap_failures_in_a_row >= REAP_FAILURES {
            self.reaper.main_child = None;
            return outcome;
        }
        pause(self.reap_failures_in_a_row);
        self.reap_again = true;
        ReapOutcome::More
    }

    /// Waits for a signal. `None` if it is time to reap. If the last round of reaping stopped
    /// early, this does not wait.
    fn next_signal(&mut self, deadline: Option<Instant>) -> Option<SignalInfo> {
        if self.signals_in_a_row >= IN_A_ROW {
            self.signals_in_a_row = 0;
            return None;
        }
        if self.reap_again || self.children_in_a_row >= IN_A_ROW {
            self.children_in_a_row = 0;
            if let Ok(info) = signal::wait(SignalSet::ALL.without(Signal::CHLD), Some(Duration::ZERO)) {
                return self.taken(info);
            }
            if self.reap_again {
                self.signals_in_a_row = 0;
                return None;
            }
        }
        if self.watched_has_ended(deadline) {
            return None;
        }
        let time_left = time_left(deadline);
        let timeout =
            if self.looks_again { Some(time_left.unwrap_or(BETWEEN_LOOKS).min(BETWEEN_LOOKS)) } else { time_left };
        match signal::wait(SignalSet::ALL, timeout) {
            Ok(info) => self.taken(info),
            // This includes EAGAIN, when the time is over: the next call checks the deadline first.
            Err(errno) => {
                self.wait_failed(errno);
                None
            }
        }
    }

    /// Watches a process that is not a child through a pidfd: `next` reaps when it ends. Returns
    /// false if that fails.
    pub(super) fn watch(&mut self, pid: pid_t) -> bool {
        self.watched = Watch::on(pid).ok();
        self.watched.is_some()
    }

    /// Sets whether `next` reaps at least once in a while.
    pub(super) fn look_again(&mut self, looks_again: bool) {
        self.looks_again = looks_again;
    }

    /// Waits until the watched process ends, a signal is pending or the deadline passes. Returns
    /// whether the process has ended. If the wait fails, rinit looks again instead.
    fn watched_has_ended(&mut self, deadline: Option<Instant>) -> bool {
        let Some(watch) = &self.watched else { return false };
        let result = watch.wait(time_left(deadline));
        if result != Ok(false) {
            self.watched = None;
            self.looks_again = result.is_err();
        }
        result == Ok(true)
    }

    /// Pauses after failed waits. Between two pauses, rinit reaps and checks the deadline. The first
    /// failure costs no pause: interruptions are expected.
    fn wait_failed(&mut self, errno: Errno) {
        if self.failures_in_a_row == EXPECTED_FAILURES && !self.looks_again {
            warn!("cannot wait for signals: {}; trying again", errno.desc());
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row > 1 {
            pause(self.failures_in_a_row);
        }
    }

    /// Counts a signal that was taken. `None` for SIGCHLD.
    fn taken(&mut self, info: SignalInfo) -> Option<SignalInfo> {
        self.failures_in_a_row = 0;
        trace!("took {} ({:?})", info.signal, info.origin());
        if info.signal == Signal::CHLD {
            self.signals_in_a_row = 0;
            self.children_in_a_row += 1;
            return None;
        }
        self.children_in_a_row = 0;
        self.signals_in_a_row += 1;
        Some(info)
    }
}

/// Pauses after a failure, so that rinit does not spin: 1 ms longer for each failure in a row, up to
/// a limit.
fn pause(failures_in_a_row: u8) {
    let _ = poll(&mut [], PollTimeout::from(failures_in_a_row.min(LONGEST_PAUSE)));
}

fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::wait::WaitFor;
    use nix::sys::signal::{Signal as Number, raise};

    fn source() -> EventSource {
        EventSource::new(Reaper::new(None, WaitFor::End, false))
    }

    /// The next signal while these are pending for the test's thread, which blocks all signals.
    fn next(events: &mut EventSource, pending: &[Number]) -> Option<SignalInfo> {
        signal::set_mask(SignalSet::ALL).unwrap();
        pending.iter().for_each(|number| raise(*number).unwrap());
        // Nothing has to be waited for. The deadline is for a fault that would wait without end.
        events.next_signal(Some(Instant::now() + Duration::from_secs(10)))
    }

    #[test]
    fn children_without_end_do_not_hold_up_a_signal() {
        let mut events = source();
        assert!(next(&mut events, &[]).is_none(), "a child may have ended before");
        // SIGCHLD has the lower number, so the kernel delivers it first.
        let is_child = |_: &u32| next(&mut events, &[Number::SIGCHLD, Number::SIGWINCH]).is_none();
        assert_eq!((0..2 * IN_A_ROW).take_while(is_child).count(), IN_A_ROW as usize);
    }

    #[test]
    fn signals_without_end_do_not_hold_up_children() {
        let mut events = source();
        let mut is_signal = |_: &u32| next(&mut events, &[Number::SIGUSR1, Number::SIGCHLD]).is_some();
        assert!(!is_signal(&0), "a child may have ended before");
        for _ in 0..2 {
            assert_eq!((0..2 * IN_A_ROW).take_while(&mut is_signal).count(), IN_A_ROW as usize);
        }
    }
}
