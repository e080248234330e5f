//! Reaping: taking the exit status of every child that ended, so that none stays a zombie.

use log::{debug, info, trace, warn};
use nix::errno::Errno;

use crate::message;
use crate::printable::Printable;
use crate::processes;
use crate::sys::signal::Signal;
use crate::sys::wait::{self, Changed, Changes, Patience, WaitStatus};

/// Children reaped before rinit looks whether a signal waits to be forwarded.
const BATCH: usize = 16;

/// Failures in a row after which a call is taken not to work here at all.
const GIVE_UP: u32 = 8;

/// What a round of reaping found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The main child ended.
    MainEnded(WaitStatus),
    /// The main child was stopped by this signal.
    MainStopped(Signal),
    /// The batch is full: there may be more.
    More,
    /// No other child has ended yet.
    Nothing,
    /// There is no child at all.
    NoChildren,
    /// No way of waiting for children works: the main child's end would never be seen.
    Broken,
}

/// Reaps the children, and knows which of them is the main one.
#[derive(Debug)]
pub struct Reaper {
    main_child: Option<libc::pid_t>,
    changes: Changes,
    warn_on_reap: bool,
    orphans: u64,
    failures: u32,
}

impl Reaper {
    /// For this main child; none, where there are only orphans to wait for.
    pub fn new(main_child: Option<libc::pid_t>, changes: Changes, warn_on_reap: bool) -> Self {
        Self { main_child, changes, warn_on_reap, orphans: 0, failures: 0 }
    }

    /// How many orphans it has reaped.
    pub fn orphans(&self) -> u64 {
        self.orphans
    }

    /// Reaps what has ended, up to a batch, and at most until the main child has: its end ends rinit.
    pub fn reap(&mut self, patience: Patience) -> Found {
        for _ in 0..BATCH {
            // The name can be read only while the process is still a zombie.
            let name =
                self.warn_on_reap.then(|| wait::peek().and_then(|pid| Some((pid, processes::name_of_child(pid)?))));
            let changed = match self.next(patience) {
                Ok(Some(changed)) => changed,
                Ok(None) => return Found::Nothing,
                Err(Errno::ECHILD) if self.main_child.is_none() => return Found::NoChildren,
                Err(_) if self.failures >= 2 * GIVE_UP => return Found::Broken,
                Err(_) => continue,
            };
            let is_main = self.main_child == Some(changed.pid);
            match changed.status.stopped_by() {
                Some(signal) if is_main => return Found::MainStopped(signal),
                // An orphan that somebody stopped: it is not rinit's to resume.
                Some(signal) => trace!("orphan {} was stopped by {signal}", changed.pid),
                None if is_main => {
                    info!("main child {} {}", changed.pid, changed.status);
                    // From here on its pid may be anybody's.
                    self.main_child = None;
                    return Found::MainEnded(changed.status);
                }
                None => self.count_orphan(changed, name.flatten()),
            }
            if patience == Patience::Block {
                break;
            }
        }
        Found::More
    }

    /// The next child that changed. wait4(2) does it everywhere; where it fails over and over, waitid(2).
    fn next(&mut self, patience: Patience) -> Result<Option<Changed>, Errno> {
        let result = if self.failures < GIVE_UP || patience == Patience::Block {
            wait::next(self.changes, patience)
        } else {
            wait::next_by_waitid(self.changes)
        };
        match result {
            Ok(_) => {
                // Having worked once, waitid stays the one to use.
                self.failures = if self.failures >= GIVE_UP { GIVE_UP } else { 0 };
            }
            Err(Errno::ECHILD) if self.main_child.is_none() => {}
            // Also that there is no child, while the main one has not been reaped: a sandbox may say anything.
            Err(errno) => {
                self.failures = self.failures.saturating_add(1);
                debug!("cannot wait for children: {}", errno.desc());
            }
        }
        result
    }

    fn count_orphan(&mut self, orphan: Changed, name: Option<(libc::pid_t, Vec<u8>)>) {
        self.orphans = self.orphans.saturating_add(1);
        let Changed { pid, status } = orphan;
        if self.warn_on_reap {
            match name.filter(|(named, _)| *named == pid) {
                Some((_, name)) => warn!("reaped orphan {pid} ({}), which {status}", Printable::bytes(&name)),
                None => warn!("reaped orphan {pid}, which {status}"),
            }
        } else {
            debug!("reaped orphan {pid}, which {status}");
        }
        message::report_dropped();
    }
}
