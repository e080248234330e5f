//! Waiting for a process that is not rinit's child. The kernel sends no SIGCHLD for it, but a descriptor for it becomes readable
//! when it ends: pidfd_open(2).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libc::pid_t;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::signal::SignalSet;
use crate::sys::{self, descriptor, process};

/// The longest time that fits into every machine's struct timespec.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// A process, and the signals that must not wait for its end.
#[derive(Debug)]
pub(super) struct Watch {
    process: OwnedFd,
    signals: OwnedFd,
}

impl Watch {
    /// Watches this process.
    ///
    /// # Errors
    /// ESRCH if it has ended and has been reaped; ENOSYS before Linux 5.3; EPERM if a sandbox refuses it.
    pub(super) fn on(pid: pid_t) -> Result<Self, Errno> {
        let signals = sys::signal::descriptor(SignalSet::ALL.bits())?;
        Ok(Self {
            process: descriptor::move_above_stderr(process::descriptor(pid)?)?,
            signals: descriptor::move_above_stderr(signals)?,
        })
    }

    /// Waits until the process has ended or a signal is pending, and no longer than the timeout. Takes no signal. Returns whether the
    /// process has ended.
    ///
    /// # Errors
    /// What poll(2) says: EINTR, ENOMEM.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<bool, Errno> {
        let readable = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut both = [readable(self.process.as_fd()), readable(self.signals.as_fd())];
        ppoll(&mut both, timeout.map(|timeout| TimeSpec::from_duration(timeout.min(LONGEST))), None)?;
        let [process, _] = &both;
        Ok(process.any() == Some(true))
    }
}
