//! What rinit was asked to do, typed and checked: a value that is in here is never refused later.

use std::ffi::{CStr, OsString};
use std::time::Duration;

use log::LevelFilter;

use crate::sys::signal::Signal;

/// One of the things rinit can be started for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Print this text on stdout and exit 0: help, version, license.
    Print(String),
    /// Copy this binary to a path.
    Install(OsString),
    /// List the zombies and their parents.
    Zombies,
    /// Be the init of a shared PID namespace, without a command.
    Pause(Config),
    /// Run a command: its name and its arguments, the bytes that they are.
    Run(Config, Vec<&'static CStr>),
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

/// A signal, and what is forwarded in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrites(Vec<(Signal, Option<Signal>)>);

impl Rewrites {
    /// Adds a rule. A later rule for the same signal replaces the earlier one.
    pub fn add(&mut self, from: Signal, to: Option<Signal>) {
        self.0.retain(|(known, _)| *known != from);
        self.0.push((from, to));
    }

    /// What to forward for this signal; nothing, where it is to be dropped.
    pub fn apply(&self, signal: Signal) -> Option<Signal> {
        match self.0.iter().find(|(from, _)| *from == signal) {
            Some((_, to)) => *to,
            None => Some(signal),
        }
    }
}

/// A set of exit codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitCodes(Vec<u8>);

impl ExitCodes {
    /// Adds one.
    pub fn add(&mut self, code: u8) {
        self.0.push(code);
    }

    /// Whether it is in there.
    pub fn contains(&self, code: u8) -> bool {
        self.0.contains(&code)
    }
}
