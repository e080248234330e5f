//! Waiting for a process that is not rinit's child. The kernel sends no SIGCHLD for it, but a descriptor that stands for
//! it becomes readable when it ends: pidfd_open(2).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libc::pid_t;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::process;
use super::signal::{self, SignalSet};

/// A process, and the signals that must not have to wait for its end.
#[derive(Debug)]
pub struct Watch {
    process: OwnedFd,
    signals: OwnedFd,
}

impl Watch {
    /// Of this process.
    ///
    /// # Errors
    /// ESRCH where it has ended and been reaped; ENOSYS before Linux 5.3; EPERM where a sandbox refuses.
    pub fn on(pid: pid_t) -> Result<Self, Errno> {
        Ok(Self { process: process::descriptor_of(pid)?, signals: signal::descriptor_of(SignalSet::ALL)? })
    }

    /// Waits until the process has ended or a signal waits to be taken, and no longer than the timeout. Takes no signal.
    /// Whether the process has ended.
    ///
    /// # Errors
    /// What poll(2) says: EINTR, ENOMEM.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Errno> {
        let readable = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut both = [readable(self.process.as_fd()), readable(self.signals.as_fd())];
        ppoll(&mut both, timeout.map(TimeSpec::from_duration), None)?;
        let [process, _] = &both;
        Ok(process.any() == Some(true))
    }
}
