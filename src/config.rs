//! What rinit was asked to do, typed and checked: a value that is in here is never refused later.

use std::ffi::{CStr, OsString};
use std::time::Duration;

use log::LevelFilter;

use crate::sys::signal::Signal;

/// One of the things rinit can be started for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Print this text on stdout and exit 0: help, version, license.
    Print(String),
    /// Copy this binary to a path.
    Install(OsString),
    /// List the zombies and their parents.
    Zombies,
    /// Be the init of a shared PID namespace, without a command.
    Pause(Config),
    /// Run a command: its name and its arguments, the bytes that they are.
    Run(Config, &'a [&'static CStr]),
}

/// How the init behaves.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom signals are forwarded to.
    pub target: Target,
    /// What becomes of a signal before it is forwarded.
    pub rewrites: Rewrites,
    /// The exit codes that become 0.
    pub remapped: ExitCodes,
    /// The signal to receive when rinit's own parent dies.
    pub parent_death_signal: Option<Signal>,
    /// How long everything that the main child leaves behind has to finish. Zero: not at all.
    pub grace: Duration,
    /// Whether each orphan that is reaped is worth a warning.
    pub warn_on_reap: bool,
    /// What is logged.
    pub verbosity: Verbosity,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: Target::Group,
            rewrites: Rewrites::default(),
            remapped: ExitCodes::default(),
            parent_death_signal: None,
            grace: Duration::ZERO,
            warn_on_reap: false,
            verbosity: Verbosity::Level(LevelFilter::Warn),
        }
    }
}

/// Whom a signal is forwarded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main child's process group, and the main child where it has left that.
    Group,
    /// The main child alone.
    MainChild,
    /// Every process rinit answers for.
    Everyone,
}

/// What is logged: up to a level, or what an env_logger filter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Messages of this level and the graver ones.
    Level(LevelFilter),
    /// A filter in env_logger's own words.
    Filter(String),
}

/// For each signal the one that is forwarded in its place; none, where it is to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrites([Option<Signal>; Signal::COUNT]);

impl Default for Rewrites {
    /// Each signal stays what it is.
    fn default() -> Self {
        Self(std::array::from_fn(Signal::from_index))
    }
}

impl Rewrites {
    /// Adds a rule. A later rule for the same signal replaces the earlier one.
    pub fn add(&mut self, from: Signal, to: Option<Signal>) {
        if let Some(place) = self.0.get_mut(from.index()) {
            *place = to;
        }
    }

    /// What to forward for this signal; nothing, where it is to be dropped.
    pub fn apply(&self, signal: Signal) -> Option<Signal> {
        self.0.get(signal.index()).copied().flatten()
    }
}

/// A set of exit codes: bit n % 64 of word n / 64 is code n.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitCodes([u64; 4]);

impl ExitCodes {
    /// Adds one.
    pub fn add(&mut self, code: u8) {
        if let Some(word) = self.0.get_mut(usize::from(code / 64)) {
            *word |= 1 << (code % 64);
        }
    }

    /// Whether it is in there.
    pub fn contains(&self, code: u8) -> bool {
        self.0.get(usize::from(code / 64)).is_some_and(|word| word >> (code % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_what_the_last_rule_makes_of_it() {
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
