//! `--pause`: an init without a command, such as the pause container of a pod.

use libc::pid_t;
use log::info;

use super::events::{Event, EventSource};
use super::reap::Reaper;
use super::shutdown::Leftovers;
use super::{forward, log_exit, prepare, release_inherited, start_time};
use crate::config::Config;
use crate::error::Error;
use crate::signal::scope::SignalScope;
use crate::signal::{Signal, SignalSet};
use crate::sys::wait::WaitFor;

/// Reaps orphans until SIGTERM or SIGINT arrives. Returns the exit code.
///
/// # Errors
/// As for [`prepare`].
///
/// Out of line, so that an init with a command does not have its stack frame.
#[inline(never)]
pub(crate) fn run(config: &Config, pid: pid_t, mask: SignalSet) -> Result<u8, Error> {
    let (_, role) = prepare(config, pid, mask)?;
    let started = start_time();
    release_inherited(None);
    info!("no command: reaping orphans until SIGTERM or SIGINT; rinit is {role}");
    let mut events = EventSource::new(Reaper::new(None, WaitFor::End, config.warn_on_reap));
    loop {
        let Event::Signal(info) = events.next(None) else { continue };
        // There is no process to forward to, so `--rewrite` has no effect.
        forward::log_received(&info);
        if matches!(info.signal, Signal::TERM | Signal::INT) {
            break;
        }
    }
    let leftovers = Leftovers { scope: SignalScope::of(pid), main_child: None, terminal: None, asked: None };
    leftovers.wait(config, &mut events);
    log_exit(0, &events, started);
    Ok(0)
}
