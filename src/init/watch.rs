//! Waiting for a process that is not rinit's child. The kernel sends rinit no SIGCHLD for it, but a
//! pidfd becomes readable when its process ends: see pidfd_open(2).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libc::pid_t;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::signal::SignalSet;
use crate::sys::{self, descriptor, process};

/// The longest timeout that fits into struct timespec on every architecture.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// The descriptors to poll: one for the process, and one for pending signals, which must not wait
/// for the end of the process.
pub(super) struct Watch {
    process: OwnedFd,
    signals: OwnedFd,
}

impl Watch {
    /// Watches this process.
    ///
    /// # Errors
    /// ESRCH if it has ended and has been reaped; ENOSYS before Linux 5.3; EPERM if a sandbox
    /// refuses it.
    pub(super) fn on(pid: pid_t) -> Result<Self, Errno> {
        let signals = sys::signal::descriptor(SignalSet::ALL.0)?;
        Ok(Self {
            process: descriptor::move_above_stderr(process::descriptor(pid)?)?,
            signals: descriptor::move_above_stderr(signals)?,
        })
    }

    /// Waits until the process has ended, a signal is pending or the timeout is over. Takes no
    /// signal. Returns whether the process has ended.
    ///
    /// # Errors
    /// The errors of ppoll(2): EINTR, ENOMEM.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<bool, Errno> {
        let readable = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut both = [readable(self.process.as_fd()), readable(self.signals.as_fd())];
        ppoll(&mut both, timeout.map(|timeout| TimeSpec::from_duration(timeout.min(LONGEST))), None)?;
        let [process, _] = &both;
        Ok(process.any() == Some(true))
    }
}
