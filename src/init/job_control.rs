//! Job control: what a stop and a continue of the command mean. See credentials(7).
//!
//! Under a shell with job control, rinit stops its own process group when the command stops, so
//! that the shell notices. When the shell continues rinit, rinit continues the command.

use std::time::Duration;

use libc::pid_t;
use log::debug;

use super::reap::ReapOutcome;
use super::terminal::Terminal;
use crate::procfs;
use crate::signal::scope::Recipients;
use crate::signal::{self, Origin, Signal, SignalInfo, SignalSet};
use crate::sys::{process, wait};

/// The command as a job of the controlling terminal.
pub(super) struct Job {
    pub(super) terminal: Terminal,
    main_child: pid_t,
    /// The stop signal that rinit forwarded last, and who sent it. If this signal stops the command
    /// next, that is the response to it.
    forwarded_stop: Option<(Signal, StopSender)>,
    /// Whether the main child is stopped.
    is_stopped: bool,
}

/// Who sent a stop signal that rinit has forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopSender {
    /// The terminal: Ctrl-Z.
    Terminal,
    /// A process.
    Process,
}

impl Job {
    /// The job of a main child that runs.
    pub(super) fn new(terminal: Terminal, main_child: pid_t) -> Self {
        Self { terminal, main_child, forwarded_stop: None, is_stopped: false }
    }

    /// Prepares the job for a signal that rinit is about to forward to it. Returns false if rinit
    /// must not forward the signal.
    pub(super) fn prepare_for(&mut self, signal: Signal, info: &SignalInfo) -> bool {
        let is_stop = signal == Signal::STOP || signal.is_terminal_stop();
        if signal == Signal::CONT {
            // It discards a stop signal that the command has not taken yet.
            self.forwarded_stop = None;
            self.terminal.give_if_due(self.group());
        } else if is_stop {
            // If the kernel still holds the report of an earlier continue, rinit takes it now. Later it
            // would end the record of this stop.
            if wait::take_continue(self.main_child) {
                self.running();
            }
            let is_from_terminal = info.origin() == Origin::Kernel && info.signal == signal;
            let sender = if is_from_terminal { StopSender::Terminal } else { StopSender::Process };
            // If the command handles the signal, it does not stop.
            self.forwarded_stop = Some((signal, sender)).filter(|_| !procfs::handles(self.main_child, signal));
        }
        if signal == Signal::TSTP && self.is_stopped && self.terminal.has_job_control {
            // The main child is stopped already, so the kernel would report no new stop. The stop
            // signal has discarded a SIGCONT that rinit had not taken yet. So rinit stops now.
            self.stopped(signal);
            return false;
        }
        true
    }

    /// Follows a stop or a continue of the main child. Returns when rinit runs again, if it stops
    /// too.
    pub(super) fn follow(&mut self, outcome: &ReapOutcome) {
        match outcome {
            ReapOutcome::MainStopped(signal) => self.stopped(*signal),
            ReapOutcome::MainContinued => {
                debug!("main child {} was continued", self.main_child);
                self.running();
            }
            _ => {}
        }
    }

    /// Handles a stop of the main child by this signal.
    fn stopped(&mut self, by: Signal) {
        debug!("main child {} was stopped by {by}", self.main_child);
        // The record is for one stop. Another process may continue the command without rinit, and a
        // Ctrl-Z may follow.
        let forwarded = self.forwarded_stop.take().filter(|(signal, _)| *signal == by);
        self.is_stopped = !self.react_to_stop(by, forwarded.map(|(_, sender)| sender));
        if !self.is_stopped {
            // The terminal stopped the whole job, not only the main child.
            Recipients::Job(self.main_child).send(Signal::CONT, None);
        }
    }

    /// The main child runs again: the stop and its sender no longer matter.
    fn running(&mut self) {
        (self.forwarded_stop, self.is_stopped) = (None, false);
    }

    /// Gives the command the terminal or stops rinit too, as the stop requires. Returns whether to
    /// continue the main child, after rinit runs again.
    fn react_to_stop(&self, by: Signal, forwarded: Option<StopSender>) -> bool {
        let group = self.group();
        let asks_for_terminal = matches!(by, Signal::TTIN | Signal::TTOU) && forwarded != Some(StopSender::Process);
        if asks_for_terminal && self.terminal.give_on_request(group) {
            return true;
        }
        // Without a shell above that does job control, a Ctrl-Z does not stop the command. The
        // kernel does the same without an init: the command's process group would be an orphaned
        // one, see setpgid(2).
        let is_ctrl_z = by == Signal::TSTP && forwarded != Some(StopSender::Process);
        if !self.terminal.has_job_control {
            return is_ctrl_z;
        }
        if !self.terminal.job_has_foreground(group) && !asks_for_terminal && forwarded.is_none() {
            // Another process stopped the command of a background job by hand. It will continue the
            // command, but not rinit, so rinit must not stop.
            return false;
        }
        self.terminal.take_back(group);
        debug!("the command was stopped by {by}: rinit stops too");
        // If rinit got the terminal's SIGTSTP, each member of rinit's group got one too, and must
        // not get another one.
        let stops_alone = forwarded == Some(StopSender::Terminal);
        if stop(if stops_alone { process::own_pid() } else { 0 }) {
            return false;
        }
        // rinit did not stop: its own process group is an orphaned one, so no shell above does job
        // control.
        self.terminal.give_if_due(group);
        is_ctrl_z
    }

    /// The process group that the main child is in now.
    fn group(&self) -> pid_t {
        process::group_of(self.main_child).unwrap_or(self.main_child)
    }
}

/// Stops rinit's process group (0) or rinit alone (its pid). Returns true after rinit has been
/// continued, false if it did not stop. The SIGCONT stays blocked and pending, so that rinit takes
/// it like any other signal.
pub(super) fn stop(target: pid_t) -> bool {
    // Another process may have seen the command stop before rinit, and may have sent SIGCONT
    // already. A stop signal would discard it: see POSIX, "Signal Generation and Delivery". A
    // SIGCONT between this check and the stop is still lost, as in any process that stops itself. A
    // shell sends none before rinit has stopped.
    if signal::pending().contains(Signal::CONT) {
        return true;
    }
    if let Err(errno) = Signal::TSTP.send(target) {
        debug!("cannot stop rinit's process group: {}", errno.desc());
    }
    // rinit's own SIGTSTP is pending. When it is unblocked, it stops rinit before this call
    // returns: see signal(7).
    let result = signal::set_mask(SignalSet::ALL.without(Signal::TSTP)).and_then(|_| signal::set_mask(SignalSet::ALL));
    if let Err(errno) = result {
        debug!("cannot change the signal mask: {}", errno.desc());
        // rinit's own SIGTSTP is still pending. It must not be forwarded: the command's stop would
        // make rinit send itself another one, without end.
        let _ = signal::wait(SignalSet::EMPTY.with(Signal::TSTP), Some(Duration::ZERO));
    }
    signal::pending().contains(Signal::CONT)
}
