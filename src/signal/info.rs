//! A signal that was taken, with what the kernel tells about it: see sigaction(2), "The siginfo_t
//! argument".

use std::time::Duration;

use libc::{c_int, pid_t, siginfo_t};
use nix::errno::Errno;

use super::{Signal, SignalSet};
use crate::sys;

/// A signal that was taken.
#[derive(Clone, Copy)]
pub(crate) struct SignalInfo {
    /// The signal.
    pub(crate) signal: Signal,
    raw: siginfo_t,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A process; 0 if it is outside rinit's PID namespace.
    Process(pid_t),
    /// The kernel: a terminal's key, a child, a fault.
    Kernel,
    /// A process that gave this code, which does not tell its pid.
    Code(c_int),
}

impl SignalInfo {
    /// Who sent it.
    pub(crate) fn origin(&self) -> Origin {
        match self.raw.si_code {
            libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL | libc::SI_MESGQ => {
                Origin::Process(sys::signal::pid_and_status(&self.raw).0)
            }
            code if code > 0 => Origin::Kernel,
            code => Origin::Code(code),
        }
    }

    /// Whether it carries a value, as sigqueue(3) sends one. If the code is negative, a process has
    /// sent the signal with a value, or without one if the code is SI_TKILL. The kernel itself uses
    /// negative codes only for what a process has asked to be told of: see timer_create(2),
    /// mq_notify(3), aio(7), F_SETSIG in fcntl(2).
    pub(crate) fn has_value(&self) -> bool {
        self.raw.si_code < 0 && self.raw.si_code != libc::SI_TKILL
    }

    /// Sends it on to one process as `signal`, with its value if it has one. With a value, it still
    /// names its first sender.
    ///
    /// # Errors
    /// As for [`Signal::send`]; EAGAIN if the receiver's queue is full (RLIMIT_SIGPENDING).
    pub(crate) fn send_on(&self, signal: Signal, pid: pid_t) -> Result<(), Errno> {
        if !self.has_value() {
            return signal.send(pid);
        }
        let mut raw = self.raw;
        raw.si_signo = signal.number();
        sys::signal::queue(pid, &raw)
    }
}

/// Takes the next pending signal of the set. If there is none, waits for one until the timeout is
/// over, or without limit if there is no timeout: see sigtimedwait(2).
///
/// # Errors
/// EAGAIN if the timeout is over; EINTR if a stop and a continue, a tracer or a freezer interrupts
/// the wait.
pub(crate) fn wait(set: SignalSet, timeout: Option<Duration>) -> Result<SignalInfo, Errno> {
    let raw = sys::signal::wait(set.0, timeout)?;
    Signal::from_number(raw.si_signo).map(|signal| SignalInfo { signal, raw }).ok_or(Errno::EINVAL)
}
