//! rinit, a minimal init for containers. Read [`init`] first: it is the life of an init from top to bottom.
//!
//! Data flows one way: the command line ([`cli`]) becomes a configuration ([`config`]), the command is started
//! ([`spawn`]) and supervised ([`init`], by [`inbox`], [`reap`], [`forward`], [`terminal`] and [`leave`]), and
//! that yields an exit code. The library is the program's own; it promises nothing to others.

pub mod cli;
pub mod config;
pub mod error;
pub mod everyone;
pub mod forward;
pub mod inbox;
pub mod init;
pub mod install;
pub mod leave;
pub mod message;
pub mod printable;
pub mod processes;
pub mod reap;
pub mod spawn;
pub mod sys;
pub mod terminal;
pub mod zombies;

use std::ffi::CStr;

use config::{Action, Verbosity};
use error::{EXIT_FAILURE, Error};
use log::LevelFilter;
use sys::signal::SignalSet;

/// Does what the command line (without the program's own name) and the variables ask for. `inherited` is the
/// signal mask rinit was started with; the answer is the exit code.
pub fn run(words: &[&'static CStr], inherited: SignalSet) -> u8 {
    match cli::parse(words, &sys::process::variable) {
        Ok(Action::Run(config, command)) => init::run(&config, command, inherited),
        Ok(Action::Pause(config)) => init::pause(&config),
        other => side_door(other),
    }
}

/// What rinit does instead of being an init. On its own, so that its frames are not under an init's for life.
#[inline(never)]
fn side_door(action: Result<Action<'_>, Error>) -> u8 {
    message::set_up(&Verbosity::Level(LevelFilter::Warn), sys::process::own_pid());
    let result = action.and_then(|action| match action {
        Action::Print(text) => sys::descriptor::print(text.as_bytes()).map(|()| 0),
        Action::Install(path) => install::install(&path).map(|()| 0),
        Action::Zombies => zombies::list(),
        Action::Pause(_) | Action::Run(..) => Ok(0),
    });
    result.unwrap_or_else(|error| fail(&error))
}

/// Says why rinit ends without having run a command.
pub(crate) fn fail(error: &Error) -> u8 {
    log::error!("{error}");
    EXIT_FAILURE
}
