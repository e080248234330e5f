//! Sets of signals, and the signal mask of this process.

use nix::errno::Errno;

use super::Signal;
use crate::sys;

/// A set of signals as the kernel represents it, on every architecture that rinit runs on: bit
/// n - 1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Every signal.
    pub const ALL: Self = Self(u64::MAX);
    /// The stop signals that a process can handle, and the real-time signals.
    pub(crate) const STOPS_AND_REAL_TIME: Self =
        Self(!0 << (super::RTMIN - 1)).with(Signal::TSTP).with(Signal::TTIN).with(Signal::TTOU);
    /// No signal.
    pub const EMPTY: Self = Self(0);

    /// The set with this signal added.
    pub(crate) const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << (signal.0 - 1))
    }

    /// The set with this signal removed.
    pub(crate) const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << (signal.0 - 1)))
    }

    /// Whether the signal is in it.
    pub(crate) const fn contains(self, signal: Signal) -> bool {
        self.0 & 1 << (signal.0 - 1) != 0
    }
}

/// Blocks exactly the signals of this set. Returns the previous mask: see sigprocmask(2).
///
/// # Errors
/// EPERM or ENOSYS if a sandbox refuses it.
pub fn set_mask(mask: SignalSet) -> Result<SignalSet, Errno> {
    sys::signal::set_mask(mask.0).map(SignalSet)
}

/// The pending signals, which have been sent and are blocked: see sigpending(2).
pub(crate) fn pending() -> SignalSet {
    SignalSet(sys::signal::pending())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let last = Signal::from_number(64).unwrap();
        let set = SignalSet::EMPTY.with(Signal::TERM).with(last);
        assert!(set.contains(Signal::TERM) && set.contains(last) && !set.contains(Signal::INT));
        assert_eq!(set.with(last), set);
        assert_eq!(set.without(last).without(Signal::TERM), SignalSet::EMPTY);
        assert!(SignalSet::ALL.contains(last) && SignalSet::ALL.contains(Signal::INT));
    }
}
