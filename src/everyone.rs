//! Every process that rinit answers for: as PID 1 all of the PID namespace, as subreaper its descendants, and
//! never anybody else.

use libc::pid_t;
use log::warn;
use nix::errno::Errno;

use crate::forward;
use crate::processes::{self, Process};
use crate::sys::process;
use crate::sys::signal::{self, Arrived, Signal};

/// Passes over /proc until no new descendant turns up. Each finds what the one before has forked meanwhile; only
/// something that forks without end needs more, and that is not worth waiting for.
const PASSES: usize = 64;

/// Which processes those are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Everyone {
    /// rinit is PID 1: `kill(-1)` is everybody but itself, kill(2), pid_namespaces(7).
    Namespace,
    /// rinit is a subreaper with this pid.
    Descendants(pid_t),
}

/// Those who have been sent something already: pid and start time, so that a reused pid is somebody new.
pub type Reached = Vec<(pid_t, u64)>;

impl Everyone {
    /// Whom the process with this pid answers for.
    pub fn of(pid: pid_t) -> Self {
        if pid == 1 { Self::Namespace } else { Self::Descendants(pid) }
    }

    /// Sends a signal to all of them, with the value of the one that arrived, where that has one.
    pub fn send(self, signal: Signal, arrived: Option<&Arrived>) {
        self.send_to_new(signal, arrived, &mut Reached::new());
    }

    /// Sends a signal to those that are not among the reached yet, and adds them. As PID 1 that distinction is
    /// not needed: the kernel sends to all at once, so that nobody can be born in between.
    pub fn send_to_new(self, signal: Signal, arrived: Option<&Arrived>, reached: &mut Reached) {
        let with_value = arrived.filter(|arrived| arrived.has_value());
        let is_everybody = self == Self::Namespace;
        if is_everybody && with_value.is_none() {
            return forward::note(signal, -1, signal::send(-1, Some(signal)));
        }
        for _ in 0..PASSES {
            let everyone = match self.list() {
                Ok(everyone) => everyone,
                Err(error) if is_everybody => {
                    warn!("{signal} lost its value: it cannot be queued to everyone without /proc: {error}");
                    return forward::note(signal, -1, signal::send(-1, Some(signal)));
                }
                Err(error) => {
                    return warn!("cannot find the descendants to send {signal} to: /proc: {error}; is it mounted?");
                }
            };
            let seen = reached.len();
            for process in everyone {
                let identity = (process.pid, process.start);
                if reached.contains(&identity) {
                    continue;
                }
                reached.push(identity);
                let result = match with_value {
                    Some(arrived) => forward::one(arrived, signal, process.pid),
                    None => signal::send(process.pid, Some(signal)),
                };
                forward::note(signal, process.pid, result);
            }
            if reached.len() == seen {
                return;
            }
        }
    }

    /// Whether there is nobody, not even a zombie. Only PID 1 has to ask: a subreaper without children has no descendants.
    pub fn is_nobody(self) -> bool {
        match self {
            Self::Namespace => signal::send(-1, None) == Err(Errno::ESRCH),
            Self::Descendants(_) => true,
        }
    }

    /// All of them that live.
    ///
    /// # Errors
    /// As for [`processes::list`].
    pub fn list(self) -> std::io::Result<Vec<Process>> {
        let all = processes::list()?;
        let mut everyone = match self {
            Self::Namespace => all,
            Self::Descendants(pid) => processes::descendants(all, pid),
        };
        let own = process::own_pid();
        everyone.retain(|process| process.pid != own && !process.is_zombie());
        Ok(everyone)
    }
}
