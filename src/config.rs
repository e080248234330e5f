//! What the user asked for, typed and checked. No value in here is refused later.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use crate::persona::Persona;
pub use crate::persona::Target;
use crate::signal::Signal;
use crate::sys::arguments::Arguments;

/// What rinit is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process has one value of this type")]
pub enum Action {
    /// Do one thing without being an init, and exit.
    OneShot(OneShot),
    /// Be an init, with a command or without one: `--pause`.
    Run(Config, Option<Arguments>),
}

/// What rinit does instead of being an init.
#[derive(Debug)]
pub enum OneShot {
    /// Print this text on stdout: help, version, license.
    Print(&'static str),
    /// Copy this binary to a path.
    Install(OsString),
    /// List the zombies and their parents.
    Zombies,
}

/// How the init behaves.
#[derive(Debug)]
pub struct Config {
    /// How rinit behaves under the name that it was called by.
    pub persona: &'static Persona,
    /// Which processes signals are forwarded to.
    pub target: Target,
    /// Which signal is forwarded in place of each signal.
    pub rewrites: Rewrites,
    /// The exit codes that become 0.
    pub remapped: ExitCodes,
    /// The signal to receive when rinit's own parent dies.
    pub parent_death_signal: Option<Signal>,
    /// How long the processes that the main child leaves behind have to end. If zero, rinit does
    /// not wait for them.
    pub grace: Duration,
    /// Whether to wait until every process that the main child leaves behind has ended by itself.
    pub wait_all: bool,
    /// How long the main child has to end after a signal that asks it to. `None`: it is never
    /// killed.
    pub kill_after: Option<Duration>,
    /// Whether each orphan that is reaped is logged as a warning.
    pub warn_on_reap: bool,
    /// What is logged.
    pub verbosity: Verbosity,
}

impl Config {
    /// Whether the command gets a session of its own.
    pub(crate) fn starts_session(&self) -> bool {
        self.persona.starts_session && self.target == Target::Group
    }
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Messages of this level and more severe ones.
    Level(LevelFilter),
    /// What this env_logger filter lets through.
    Filter(&'static str),
}

/// For each signal the one that is forwarded in its place, or none if it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrites([Option<Signal>; Signal::COUNT]);

impl Default for Rewrites {
    /// Each signal is forwarded as it is.
    fn default() -> Self {
        Self(std::array::from_fn(|index| Signal::from_number(index as i32 + 1)))
    }
}

impl Rewrites {
    /// Adds a rule. A later rule for the same signal replaces the earlier one.
    pub(crate) fn add(&mut self, from: Signal, to: Option<Signal>) {
        if let Some(place) = self.0.get_mut(from.index()) {
            *place = to;
        }
    }

    /// What to forward for this signal. `None` if it is dropped.
    pub fn apply(&self, signal: Signal) -> Option<Signal> {
        self.0.get(signal.index()).copied().flatten()
    }
}

/// A set of exit codes: bit n % 64 of word n / 64 is code n.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitCodes([u64; 4]);

impl ExitCodes {
    /// Adds a code.
    pub(crate) fn add(&mut self, code: u8) {
        if let Some(word) = self.0.get_mut(usize::from(code / 64)) {
            *word |= 1 << (code % 64);
        }
    }

    /// Whether the code is in it.
    pub fn contains(&self, code: u8) -> bool {
        self.0.get(usize::from(code / 64)).is_some_and(|word| word >> (code % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_for_a_signal_counts() {
        let mut rewrites = Rewrites::default();
        let all = || (1..=64).map(|number| Signal::from_number(number).unwrap());
        assert!(all().all(|signal| rewrites.apply(signal) == Some(signal)));
        let last = Signal::from_number(64).unwrap();
        rewrites.add(last, Some(Signal::INT));
        rewrites.add(Signal::TERM, Some(Signal::INT));
        rewrites.add(Signal::TERM, None);
        assert_eq!((rewrites.apply(last), rewrites.apply(Signal::TERM)), (Some(Signal::INT), None));
        assert_eq!(rewrites.apply(Signal::INT), Some(Signal::INT));
    }

    #[test]
    fn a_set_of_exit_codes_holds_what_was_put_in() {
        let mut codes = ExitCodes::default();
        for code in [0, 63, 64, 143, 255] {
            assert!(!codes.contains(code));
            codes.add(code);
        }
        let held: Vec<u8> = (0..=255).filter(|code| codes.contains(*code)).collect();
        assert_eq!(held, [0, 63, 64, 143, 255]);
    }
}
