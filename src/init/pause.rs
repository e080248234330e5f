//! `--pause`: an init without a command, such as the pause container of a pod.

use libc::pid_t;
use log::info;

use super::events::{Event, EventSource};
use super::reap::{ReapOutcome, Reaper};
use super::{Prepared, forward, prepare, release_inherited, shutdown};
use crate::config::Config;
use crate::error::Error;
use crate::logging;
use crate::signal::Signal;
use crate::signal::scope::SignalScope;
use crate::sys::wait::WaitFor;

/// Reaps orphans until SIGTERM or SIGINT arrives. Returns the exit code.
///
/// # Errors
/// As for [`prepare`].
#[inline(never)]
pub(crate) fn run(config: &Config, pid: pid_t) -> Result<u8, Error> {
    let Prepared { role, .. } = prepare(config, pid)?;
    release_inherited(None);
    info!("no command: reaping orphans until SIGTERM or SIGINT; rinit is {role}");
    let mut events = EventSource::default();
    let mut reaper = Reaper::new(None, WaitFor::End, config.warn_on_reap);
    let mut reap_again = false;
    loop {
        match events.next(reap_again, None) {
            Event::Reap => reap_again = reaper.reap() == ReapOutcome::More,
            Event::Signal(info) => {
                // There is no process to forward to, so `--rewrite` has no effect.
                forward::log_received(&info);
                if matches!(info.signal, Signal::TERM | Signal::INT) {
                    break;
                }
            }
            Event::Deadline => {}
        }
        logging::report_dropped();
    }
    if !config.grace.is_zero() || config.wait_all {
        shutdown::wait_for_others(config, SignalScope::of(pid), None, None, None, &mut events, &mut reaper);
    }
    info!("exiting with 0 after {}", reaper.orphans());
    Ok(0)
}
