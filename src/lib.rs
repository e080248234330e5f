//! rinit, a minimal init for containers. Read `init` first: it is the life of an init from top to bottom.
//!
//! Data flows one way. The command line ([`cli`]) becomes a checked [`config`]; `init` runs the command and supervises it; that yields
//! an exit code. The library is the program's own. What it shows is for main.rs, the tests and the fuzz targets, and promises nothing
//! to others.

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

use libc::pid_t;
use log::LevelFilter;
use nix::errno::Errno;

use config::{Action, Config, Verbosity};
use error::Error;
use persona::Persona;
use signal::SignalSet;
use sys::arguments::Arguments;
use sys::environment;

/// Does what the command line (with the program's own name first) and the variables ask for. Returns the exit code. `mask` is the signal
/// mask that rinit was started with. It is an error if the signals could not be blocked.
pub fn run(arguments: Arguments, mask: Result<SignalSet, Errno>) -> u8 {
    let persona = Persona::of(arguments.first().unwrap_or_default().to_bytes());
    // Asked for once: each call counts.
    let pid = sys::process::own_pid();
    let action = cli::parse(persona, arguments.skip(1), &environment::variable);
    let result = match (action, mask) {
        (Ok(Action::Run(config, command)), Ok(mask)) => {
            start_logging(&config, pid);
            init::run(&config, command, pid, mask)
        }
        (Ok(Action::Pause(config)), Ok(_)) => {
            start_logging(&config, pid);
            init::pause::run(&config, pid)
        }
        (Ok(Action::OneShot(one_shot)), mask) => commands::run(one_shot, mask),
        (Ok(_), Err(errno)) => Err(Error::Failed("cannot block signals, so none could be forwarded".into(), errno)),
        (Err(error), _) => Err(error),
    };
    result.unwrap_or_else(|error| {
        // Only the first call counts: an init has called it with its own configuration.
        logging::init(&Verbosity::Level(LevelFilter::Warn), pid);
        log::error!("{error}");
        persona.codes.failure
    })
}

fn start_logging(config: &Config, pid: pid_t) {
    logging::init(&config.verbosity, pid);
    cli::warn_of_ignored(config.persona);
}
