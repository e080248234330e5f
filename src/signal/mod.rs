//! The kernel's 64 signals as values: the type and its names. See signal(7).
//!
//! `set` has sets of signals, `info` a signal that was taken, `scope` the recipients of a signal,
//! `descent` how they are related to rinit, `moment` whether they were alive when it was taken.

mod descent;
mod info;
pub(crate) mod moment;
pub(crate) mod scope;
mod set;

use std::fmt;

use libc::{c_int, pid_t};
use nix::errno::Errno;
use nix::sys::signal::Signal as Standard;
use nix::unistd::{Pid, getppid};

pub(crate) use info::{Origin, SignalInfo, wait};
pub(crate) use set::pending;
pub use set::{SignalSet, set_mask};

use crate::sys;

/// The number of signals the kernel has, on every architecture that rinit runs on.
const LAST: u8 = 64;

/// The first real-time signal that a program may use: `RTMIN` as glibc and docker understand it.
/// The kernel's own first one is 32, but the C libraries keep 32 and 33 for their threads: see
/// nptl(7).
const RTMIN: u8 = 34;

/// A signal, by its number: 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u8);

/// Second names of signals, and the first names that they stand for.
const SECOND_NAMES: [(&str, &str); 3] = [("IOT", "ABRT"), ("CLD", "CHLD"), ("POLL", "IO")];

impl Signal {
    /// The terminal is closed, or a daemon is asked to read its settings again.
    pub const HUP: Self = Self(libc::SIGHUP as u8);
    /// What Ctrl-C sends.
    pub const INT: Self = Self(libc::SIGINT as u8);
    /// What Ctrl-\ sends.
    pub const QUIT: Self = Self(libc::SIGQUIT as u8);
    /// A request to end.
    pub const TERM: Self = Self(libc::SIGTERM as u8);
    /// Kills a process. It cannot be caught.
    pub const KILL: Self = Self(libc::SIGKILL as u8);
    /// Stops a process. It cannot be caught.
    pub const STOP: Self = Self(libc::SIGSTOP as u8);
    /// The stop that Ctrl-Z sends.
    pub const TSTP: Self = Self(libc::SIGTSTP as u8);
    /// The stop of a background process that reads the terminal.
    pub const TTIN: Self = Self(libc::SIGTTIN as u8);
    /// The stop of a background process that writes to the terminal.
    pub const TTOU: Self = Self(libc::SIGTTOU as u8);
    /// Resumes a stopped process.
    pub const CONT: Self = Self(libc::SIGCONT as u8);
    /// The kernel's notice that a child changed state.
    pub const CHLD: Self = Self(libc::SIGCHLD as u8);
    /// What a write to a pipe without a reader raises.
    pub(crate) const PIPE: Self = Self(libc::SIGPIPE as u8);
    /// A limit on processor time is reached.
    pub(crate) const XCPU: Self = Self(libc::SIGXCPU as u8);
    /// A timer of the process's own time has run out.
    pub(crate) const VTALRM: Self = Self(libc::SIGVTALRM as u8);
    /// A timer of the process's own and the kernel's time for it has run out.
    pub(crate) const PROF: Self = Self(libc::SIGPROF as u8);
    /// The size of the terminal changed.
    pub(crate) const WINCH: Self = Self(libc::SIGWINCH as u8);
    /// What a write beyond the limit on a file's size raises.
    pub(crate) const XFSZ: Self = Self(libc::SIGXFSZ as u8);

    /// The number of signals.
    pub(crate) const COUNT: usize = LAST as usize;

    /// The signal with this number, if there is one.
    pub fn from_number(number: c_int) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| (1..=LAST).contains(number)).map(Self)
    }

    /// Its number.
    pub fn number(self) -> c_int {
        c_int::from(self.0)
    }

    /// Its index in a table of all signals.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    /// Reads a signal as people write it: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-2`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Self::from_number(text.parse().ok()?);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN") {
            return Self::real_time(RTMIN, offset, '+');
        }
        if let Some(offset) = name.strip_prefix("RTMAX") {
            return Self::real_time(LAST, offset, '-');
        }
        let name = SECOND_NAMES.iter().find(|(second, _)| *second == name).map_or(name, |(_, first)| first);
        format!("SIG{name}").parse::<Standard>().ok().map(|signal| Self(signal as u8))
    }

    /// Reads what follows `RTMIN` or `RTMAX`: nothing, or the sign and a number.
    fn real_time(base: u8, offset: &str, sign: char) -> Option<Self> {
        let distance: u8 = match offset.strip_prefix(sign) {
            Some(digits) if digits.starts_with(|first: char| first.is_ascii_digit()) => digits.parse().ok()?,
            None if offset.is_empty() => 0,
            _ => return None,
        };
        let number = if sign == '+' { base.checked_add(distance) } else { base.checked_sub(distance) };
        number.filter(|number| (RTMIN..=LAST).contains(number)).map(Self)
    }

    /// Whether rinit forwards it. rinit forwards every signal that can be caught, except SIGCHLD,
    /// which tells about a child, and the two that the C libraries keep for their threads: see
    /// pthreads(7), nptl(7).
    pub fn is_forwarded(self) -> bool {
        self != Self::KILL && self != Self::STOP && self != Self::CHLD && !matches!(self.0, 32 | 33)
    }

    /// Whether it is one of the stop signals that a terminal sends and a process can handle:
    /// SIGTSTP, SIGTTIN, SIGTTOU.
    pub(crate) fn is_terminal_stop(self) -> bool {
        matches!(self, Self::TSTP | Self::TTIN | Self::TTOU)
    }

    /// Sends it to a process (positive), to rinit's own group (0), to all processes (-1) or to a
    /// group (below -1): see kill(2).
    ///
    /// # Errors
    /// ESRCH if there is no receiver; EPERM if rinit may signal none of them.
    pub(crate) fn send(self, target: pid_t) -> Result<(), Errno> {
        sys::signal::kill(target, self.number())
    }

    /// Asks the kernel to send this process the signal when its parent dies: see
    /// PR_SET_PDEATHSIG(2const). If `parent` has died already, the process sends itself the signal.
    /// If the parent is outside the PID namespace, it cannot find out.
    ///
    /// # Errors
    /// EPERM or ENOSYS if a sandbox refuses it.
    pub(crate) fn receive_on_death_of(self, parent: Pid) -> Result<(), Errno> {
        sys::process::set_parent_death_signal(self.number())?;
        if getppid() == parent { Ok(()) } else { self.send(sys::process::own_pid()) }
    }

    /// Whether it is ignored: see sigaction(2).
    ///
    /// # Errors
    /// EPERM or ENOSYS if a sandbox refuses it.
    pub(crate) fn is_ignored(self) -> Result<bool, Errno> {
        sys::signal::set_ignored(self.number(), None)
    }

    /// Ignores it or restores its default action, the two dispositions that survive an exec: see
    /// signal(7). Returns whether it was ignored before.
    ///
    /// # Errors
    /// EINVAL for a signal that cannot be caught; EPERM or ENOSYS if a sandbox refuses it.
    pub(crate) fn set_ignored(self, is_ignored: bool) -> Result<bool, Errno> {
        sys::signal::set_ignored(self.number(), Some(is_ignored))
    }
}

/// Whether a process (positive), a group (below -1) or any process at all (-1) could receive a
/// signal: see kill(2), signal 0.
pub(crate) fn has_receiver(target: pid_t) -> bool {
    sys::signal::kill(target, 0) != Err(Errno::ESRCH)
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Standard::try_from(self.number()) {
            Ok(signal) => out.write_str(signal.as_str()),
            Err(_) if self.0 == RTMIN => out.write_str("SIGRTMIN"),
            Err(_) if self.0 == LAST => out.write_str("SIGRTMAX"),
            Err(_) if self.0 > RTMIN => write!(out, "SIGRTMIN+{}", self.0 - RTMIN),
            Err(_) => write!(out, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_signal_is_read() {
        for text in ["TERM", "SIGTERM", "sigterm", "Term", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("RTMIN").map(Signal::number), Some(34));
        assert_eq!(Signal::parse("sigrtmin+3").map(Signal::number), Some(37));
        assert_eq!(Signal::parse("RTMAX-2").map(Signal::number), Some(62));
        assert_eq!(Signal::parse("RTMAX").map(Signal::number), Some(64));
        assert_eq!(Signal::parse("POLL"), Signal::parse("IO"));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "+15",
            "SIG",
            "SIGSIGTERM",
            "TERMS",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN++1",
            "15 ",
            " TERM",
            "15x",
            "99999999999999999999",
        ] {
            assert_eq!(Signal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_signal_is_named_in_a_way_that_is_read_back() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
        }
        assert_eq!(Signal::from_number(33).unwrap().to_string(), "signal 33");
        assert_eq!(Signal::from_number(64).unwrap().to_string(), "SIGRTMAX");
    }

    #[test]
    fn an_ignored_signal_is_known_to_be_ignored() {
        // No other test changes this one.
        let signal = Signal::from_number(libc::SIGUSR2).unwrap();
        signal.set_ignored(false).unwrap();
        assert_eq!(signal.is_ignored(), Ok(false));
        assert_eq!(signal.set_ignored(true), Ok(false));
        assert_eq!(signal.is_ignored(), Ok(true));
        assert_eq!(signal.set_ignored(false), Ok(true));
        assert_eq!(signal.is_ignored(), Ok(false));
        assert_eq!(Signal::KILL.set_ignored(true), Err(Errno::EINVAL));
    }

    #[test]
    fn the_terminals_stops_are_three() {
        let stops: Vec<_> = (1..=64).filter_map(Signal::from_number).filter(|it| it.is_terminal_stop()).collect();
        assert_eq!(stops, [Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    }
}
