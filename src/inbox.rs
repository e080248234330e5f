//! The one place where rinit waits: the next signal, that a child changed, or that the time is over.

use std::time::{Duration, Instant};

use libc::pid_t;
use log::warn;
use nix::errno::Errno;

use crate::sys::signal::{self, Arrived, Signal, SignalSet};
use crate::sys::watch::Watch;

/// What rinit is woken for.
pub enum Event {
    /// Some child changed state, or may have: one SIGCHLD can stand for many. Or a process that is watched has ended.
    Child,
    /// A signal arrived.
    Signal(Arrived),
    /// The deadline has passed.
    Deadline,
    /// Waiting for signals does not work; only children can be waited for.
    Deaf,
}

/// The kernel hands out the lowest-numbered pending signal first, so an endless supply of one would keep the
/// others waiting for ever: SIGCHLD (17) those above it, and those below it SIGCHLD. After this many of one
/// kind in a row the other kind is looked for.
const IN_A_ROW: u32 = 32;

/// Failures of the wait at once, one after the other, after which it is taken not to work.
const GIVE_UP: u32 = 8;

/// A wait that fails sooner than this after the one before has not waited at all. Others are everyday: a freezer (docker
/// pause, a suspended laptop) and a tracer that attaches interrupt it as well, signal(7), and no signal follows.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Where signals arrive. All of them are blocked, so that each waits here to be taken.
#[derive(Debug, Default)]
pub struct Inbox {
    children: u32,
    signals: u32,
    failures: u32,
    last_failure: Option<Instant>,
    watched: Option<Watch>,
}

impl Inbox {
    /// Waits for the next event. `more_children`: the last round of reaping left off early, so a signal is only
    /// looked for, and then the reaping goes on.
    pub fn next(&mut self, more_children: bool, deadline: Option<Instant>) -> Event {
        // Also where there is something at every look.
        if left_until(deadline).is_some_and(|left| left.is_zero()) {
            return Event::Deadline;
        }
        if self.signals >= IN_A_ROW {
            self.signals = 0;
            return Event::Child;
        }
        if more_children || self.children >= IN_A_ROW {
            self.children = 0;
            if let Ok(arrived) = signal::wait(SignalSet::ALL.without(Signal::CHLD), Some(Duration::ZERO)) {
                return self.arrived(arrived);
            }
            if more_children {
                self.signals = 0;
                return Event::Child;
            }
        }
        if self.watched_has_ended(deadline) {
            return Event::Child;
        }
        loop {
            let left = left_until(deadline);
            match signal::wait(SignalSet::ALL, left) {
                Ok(arrived) => return self.arrived(arrived),
                Err(Errno::EAGAIN) if left.is_some_and(|left| left.is_zero()) => return Event::Deadline,
                // EAGAIN, EINTR: the time is over, or a stop and a continue came in between, signal(7). Neither
                // can go on without end; anything that does is a wait that does not work.
                Err(_) if self.may_try_again() => {}
                Err(errno) => {
                    if self.failures == GIVE_UP {
                        self.failures += 1;
                        warn!("cannot wait for signals: {}; forwarding stands still", errno.desc());
                    }
                    return Event::Deaf;
                }
            }
        }
    }

    /// Has the end of a process count that is not a child, for which the kernel sends no SIGCHLD. Whether that works.
    pub fn watch(&mut self, pid: pid_t) -> bool {
        self.watched = Watch::on(pid).ok();
        self.watched.is_some()
    }

    /// Waits for that end, as long as no signal arrives. A failure leaves signals and the deadline to wait for.
    fn watched_has_ended(&mut self, deadline: Option<Instant>) -> bool {
        let Some(watch) = &self.watched else { return false };
        let result = watch.wait(left_until(deadline));
        if result != Ok(false) {
            self.watched = None;
        }
        result == Ok(true)
    }

    /// Counts a failure, and tells whether it may be the last. One that has given up does so until a signal arrives.
    fn may_try_again(&mut self) -> bool {
        if self.failures >= GIVE_UP {
            return false;
        }
        let now = Instant::now();
        let is_at_once = self.last_failure.is_some_and(|last| now.saturating_duration_since(last) < AT_ONCE);
        self.failures = if is_at_once { self.failures + 1 } else { 1 };
        self.last_failure = Some(now);
        self.failures < GIVE_UP
    }

    fn arrived(&mut self, arrived: Arrived) -> Event {
        self.failures = 0;
        if arrived.signal == Signal::CHLD {
            self.signals = 0;
            self.children += 1;
            Event::Child
        } else {
            self.children = 0;
            self.signals += 1;
            Event::Signal(arrived)
        }
    }
}

fn left_until(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}
