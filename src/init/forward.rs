//! Forwarding: which signal rinit sends for one that it took, and to which processes. A failure
//! never ends rinit.

use log::debug;

use crate::config::{Config, Target};
use crate::signal::moment::Moment;
use crate::signal::scope::{AlreadySignalled, Recipients};
use crate::signal::{Origin, Signal, SignalInfo};

/// Which processes a signal that was taken goes to. A terminal sends its signals to its whole
/// foreground group, and a shell that does job control sends SIGCONT to the whole job. So rinit
/// forwards these to the whole job, even if other signals go to the main child alone.
pub(super) fn target(config: &Config, signal: Signal, info: &SignalInfo, has_job_control: bool) -> Target {
    let is_for_job = is_from_terminal(info) || (signal == Signal::CONT && has_job_control);
    if is_for_job && config.target == Target::MainChild { Target::Group } else { config.target }
}

/// Whether the terminal sent it: see termios(3). What else the kernel sends, such as SIGALRM, is for
/// one process.
fn is_from_terminal(info: &SignalInfo) -> bool {
    info.origin() == Origin::Kernel
        && (info.signal.is_terminal_stop()
            || matches!(info.signal, Signal::INT | Signal::QUIT | Signal::HUP | Signal::CONT | Signal::WINCH))
}

/// The signal to forward in place of the one that was taken. `None` if there is none.
pub(super) fn rewrite(config: &Config, info: &SignalInfo) -> Option<Signal> {
    log_received(info);
    if !info.signal.is_forwarded() || is_about_rinit(info) {
        return None;
    }
    let signal = config.rewrites.apply(info.signal);
    if signal.is_none() {
        debug!("{} is dropped: --rewrite asks for it", info.signal);
    }
    signal
}

/// Whether the kernel sent it because rinit itself has used much processor time: see setrlimit(2),
/// setitimer(2).
fn is_about_rinit(info: &SignalInfo) -> bool {
    info.origin() == Origin::Kernel && matches!(info.signal, Signal::XCPU | Signal::VTALRM | Signal::PROF)
}

/// Forwards a signal. If the signal is SIGTERM and there is a grace period, returns its recipients,
/// so that the grace period does not ask them again.
pub(super) fn forward(config: &Config, signal: Signal, to: Recipients, info: &SignalInfo) -> Option<AlreadySignalled> {
    let is_request = signal == Signal::TERM && !config.grace.is_zero();
    // Read the time before the signal is sent: a process that is started in response to it has to
    // count as later.
    let asked = is_request.then(|| AlreadySignalled { recipients: to, moment: Moment::now() });
    to.send(signal, Some(info));
    asked
}

/// Logs a signal that was taken, and its sender.
pub(super) fn log_received(info: &SignalInfo) {
    let signal = info.signal;
    match info.origin() {
        Origin::Process(0) => debug!("{signal} arrived from outside the PID namespace"),
        Origin::Process(pid) => debug!("{signal} arrived from process {pid}"),
        Origin::Kernel => debug!("{signal} arrived from the kernel"),
        Origin::Code(code) => debug!("{signal} arrived with si_code {code}"),
    }
}
