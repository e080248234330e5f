//! rinit, a minimal init for containers. Start reading with `init`: it follows an init from its
//! start to its exit code.
//!
//! Data flows one way. [`cli`] turns the command line into a checked [`config`]. `init` runs the
//! command, supervises it and returns an exit code. The library belongs to this program. Its public
//! items serve main.rs, the tests and the fuzz targets, and may change at any time.

pub mod cli;
mod commands;
pub mod config;
mod error;
mod init;
mod logging;
pub mod persona;
mod procfs;
pub mod signal;
pub mod sys;

use log::LevelFilter;
use nix::errno::Errno;

use config::{Action, Verbosity};
use error::Error;
use persona::{Persona, RINIT};
use signal::SignalSet;
use sys::arguments::Arguments;
use sys::environment;

/// Does what the command line and the environment variables ask for. Returns the exit code. The
/// first argument is the program's own name. `mask` is the signal mask that rinit was started with,
/// or the error if the signals could not be blocked.
pub fn run(arguments: Arguments, mask: Result<SignalSet, Errno>) -> u8 {
    let persona = Persona::of(arguments.first().unwrap_or_default().to_bytes());
    // Read once and passed on, to save system calls at the start.
    let pid = sys::process::own_pid_at_start();
    let action = cli::parse(persona, arguments.skip(1), &environment::variable);
    // No other init has the one-shot modes, so their exit codes are rinit's under every name.
    let codes = if let Ok(Action::OneShot(_)) = action { RINIT.codes } else { persona.codes };
    let result = match (action, mask) {
        (Ok(Action::Run(config, command)), Ok(mask)) => {
            logging::init(&config.verbosity, pid);
            cli::warn_of_ignored(&config);
            match command {
                Some(command) => init::run(&config, command, pid, mask),
                None => init::pause::run(&config, pid, mask),
            }
        }
        (Ok(Action::OneShot(one_shot)), mask) => commands::run(one_shot, mask),
        (Ok(_), Err(errno)) => Err(Error::Failed("cannot block signals, so none could be forwarded".into(), errno)),
        (Err(error), _) => Err(error),
    };
    result.unwrap_or_else(|error| {
        // No effect if an init has set up logging with its own configuration: only the first call
        // counts.
        logging::init(&Verbosity::Level(LevelFilter::Warn), pid);
        log::error!("{error}");
        codes.failure
    })
}
