//! Reaping: taking the exit status of every child that has ended, so that none stays a zombie.

use std::fmt;

use libc::{c_int, pid_t};
use log::{debug, info, trace, warn};
use nix::errno::Errno;

use crate::logging::{self, escape::Escaped};
use crate::procfs::{self, Process};
use crate::signal::Signal;
use crate::sys::wait::{self, ChildEvent, WaitFor, WaitStatus};

/// How many children rinit reaps before it checks for a signal to forward.
const BATCH: usize = 16;

/// What a round of reaping found.
pub(super) enum ReapOutcome {
    /// The main child ended.
    MainEnded(WaitStatus),
    /// This signal stopped the main child.
    MainStopped(Signal),
    /// The main child was continued.
    MainContinued,
    /// The batch is full: there may be more.
    More,
    /// No other child has ended yet.
    Nothing,
    /// There is no child at all.
    NoChildren,
    /// The call that waits for a child failed.
    Failed(Errno),
}

impl ReapOutcome {
    /// Whether to reap again without waiting for a signal.
    pub(super) fn stops_early(&self) -> bool {
        !matches!(self, Self::Nothing | Self::NoChildren | Self::Failed(_))
    }
}

/// Reaps children, and knows which of them is the main child.
pub(super) struct Reaper {
    /// The main child, until it has ended or is given up.
    pub(super) main_child: Option<pid_t>,
    wait_for: WaitFor,
    warn_on_reap: bool,
    /// The number of orphans reaped so far.
    pub(super) orphans: u64,
}

impl Reaper {
    /// Creates a reaper of the main child and every orphan, or of orphans alone.
    pub(super) fn new(main_child: Option<pid_t>, wait_for: WaitFor, warn_on_reap: bool) -> Self {
        Self { main_child, wait_for, warn_on_reap, orphans: 0 }
    }

    /// Reaps the children that have ended, at most a batch of them. Stops at a change of the main
    /// child, so that rinit handles it at once.
    pub(super) fn reap(&mut self) -> ReapOutcome {
        for _ in 0..BATCH {
            // The name of an orphan can be read only while it is a zombie.
            let peeked = self.warn_on_reap.then(wait::peek);
            if peeked == Some(Ok(None)) && self.wait_for == WaitFor::End {
                return ReapOutcome::Nothing;
            }
            let ended = peeked.and_then(Result::ok).flatten();
            let zombie = ended.filter(|pid| self.main_child != Some(*pid)).and_then(procfs::child);
            let event = match self.next() {
                Ok(Some(event)) => event,
                Ok(None) => return ReapOutcome::Nothing,
                Err(Errno::ECHILD) if self.main_child.is_none() => return ReapOutcome::NoChildren,
                Err(errno) => return ReapOutcome::Failed(errno),
            };
            let ChildEvent { pid, status } = event;
            let is_main = self.main_child == Some(pid);
            let stopped_by = status.stopped_by().and_then(Signal::from_number);
            match stopped_by {
                Some(signal) if is_main => return ReapOutcome::MainStopped(signal),
                None if is_main && status.is_continued() => return ReapOutcome::MainContinued,
                None if is_main => {
                    info!("main child {pid} {}", Ending(status));
                    // From here on the pid may belong to another process.
                    self.main_child = None;
                    return ReapOutcome::MainEnded(status);
                }
                None if !status.is_continued() => self.log_orphan(event, zombie.filter(|zombie| zombie.pid == pid)),
                // Another process stopped or continued an orphan. rinit does not interfere.
                _ => trace!("orphan {pid} {}", Ending(status)),
            }
        }
        ReapOutcome::More
    }

    /// The next child that changed state. If wait4(2) fails, this tries waitid(2): a sandbox may
    /// refuse wait4(2), or make it return ECHILD although the main child has not been reaped.
    fn next(&self) -> Result<Option<ChildEvent>, Errno> {
        match wait::next_child(self.wait_for) {
            Err(errno) if errno != Errno::ECHILD || self.main_child.is_some() => {
                debug!("cannot wait for children by wait4: {}", errno.desc());
                wait::next_child_by_waitid(self.wait_for)
            }
            result => result,
        }
    }

    fn log_orphan(&mut self, orphan: ChildEvent, zombie: Option<Process>) {
        self.orphans = self.orphans.saturating_add(1);
        let ChildEvent { pid, status } = orphan;
        let ending = Ending(status);
        match zombie {
            Some(zombie) => warn!("reaped orphan {pid} ({}), which {ending}", Escaped(zombie.name.as_bytes())),
            None if self.warn_on_reap => warn!("reaped orphan {pid}, which {ending}"),
            None => debug!("reaped orphan {pid}, which {ending}"),
        }
        logging::report_dropped();
    }
}

/// How a child ended, stopped or continued, as text.
struct Ending(WaitStatus);

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = |number: c_int| Signal::from_number(number);
        match (self.0.exit_code(), self.0.killed_by().and_then(signal), self.0.stopped_by().and_then(signal)) {
            (Some(code), ..) => write!(out, "exited with {code}"),
            (_, Some(signal), _) => write!(out, "was killed by {signal}"),
            (_, _, Some(signal)) => write!(out, "was stopped by {signal}"),
            _ => out.write_str("was continued"),
        }
    }
}
