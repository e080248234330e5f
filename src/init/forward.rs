//! What becomes of a signal, and for whom it is. Forwarding never ends rinit.

use libc::pid_t;
use log::debug;

use crate::config::{Config, Target};
use crate::signal::scope::{AlreadySignalled, Moment, Recipients, SignalScope};
use crate::signal::{Origin, Signal, SignalInfo};

/// Whom signals go to while the main child lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forwarding {
    pub(super) target: Target,
    pub(super) main_child: pid_t,
    pub(super) scope: SignalScope,
    /// Whether a shell above controls the job: its terminal's signals, and its SIGCONT, are for the whole job.
    pub(super) has_job_control: bool,
}

impl Forwarding {
    /// Whom this signal is for. What a terminal sends is for its whole foreground group, so it is for the whole job here.
    pub(super) fn recipients(&self, signal: Signal, info: &SignalInfo) -> Recipients {
        let is_terminals = info.origin() == Origin::Kernel || (signal == Signal::CONT && self.has_job_control);
        match self.target {
            Target::MainChild if is_terminals => self.job(),
            _ => self.target(),
        }
    }

    /// Whom a signal is for that rinit sends by itself.
    pub(super) fn target(&self) -> Recipients {
        match self.target {
            Target::MainChild => Recipients::MainChild(self.main_child),
            Target::Group => self.job(),
            Target::Everyone => Recipients::Everyone(self.scope, Some(self.main_child)),
        }
    }

    /// The main child and its group.
    pub(super) fn job(&self) -> Recipients {
        Recipients::Job(self.main_child)
    }
}

/// What to forward for a signal that was taken, if anything.
pub(super) fn rewrite(config: &Config, info: &SignalInfo) -> Option<Signal> {
    log_received(info);
    if !info.signal.is_forwarded() {
        return None;
    }
    let signal = config.rewrites.apply(info.signal);
    if signal.is_none() {
        debug!("{} is dropped: --rewrite asks for it", info.signal);
    }
    signal
}

/// Sends a signal on. Returns who has been asked to end by it, if the grace period has to know.
pub(super) fn forward(config: &Config, signal: Signal, to: Recipients, info: &SignalInfo) -> Option<AlreadySignalled> {
    let is_request = signal == Signal::TERM && !config.grace.is_zero();
    // The moment is that of the signal: who is started in answer to it comes after.
    let asked = is_request.then(|| AlreadySignalled { recipients: to, moment: Moment::now() });
    to.send(signal, Some(info));
    asked
}

/// Logs a signal that was taken, and who sent it.
pub(super) fn log_received(info: &SignalInfo) {
    let signal = info.signal;
    match info.origin() {
        Origin::Process(0) => debug!("{signal} arrived from outside the PID namespace"),
        Origin::Process(pid) => debug!("{signal} arrived from process {pid}"),
        Origin::Kernel => debug!("{signal} arrived from the kernel"),
        Origin::Code(code) => debug!("{signal} arrived with si_code {code}"),
    }
}
