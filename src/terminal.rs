//! The controlling terminal: whose turn it is to read it, and what a stop means. tty_ioctl(4), credentials(7).
//!
//! The command has a process group of its own, so rinit does for it what a shell does for a job: it hands over
//! the foreground, and takes it back. Under a job-control shell it also passes a stop of the command on to that
//! shell, by stopping its own group, and the shell's continue on to the command.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use libc::pid_t;
use log::debug;
use nix::errno::Errno;

use crate::sys::descriptor;
use crate::sys::process;
use crate::sys::signal::{self, Signal, SignalSet};

/// The controlling terminal of rinit's session.
#[derive(Debug)]
pub struct Terminal {
    descriptor: OwnedFd,
    own_group: pid_t,
    /// No shell above could resume what was stopped.
    is_alone: bool,
    /// Others of rinit's group may want it, too, so that the command gets it only when it asks.
    is_shared: bool,
}

/// What a stopped main child should do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on: there is nobody who could resume it.
    Continue,
    /// Stay stopped, until a SIGCONT comes.
    Stay,
}

impl Terminal {
    /// Opens it; none, where rinit's session has none.
    pub fn controlling() -> Option<Self> {
        let descriptor = match descriptor::open_controlling_terminal() {
            Ok(descriptor) => descriptor::away_from_standard(descriptor),
            // A root without /dev: one of the standard descriptors may be the terminal.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EPERM) => {
                (0..=2).filter_map(|fd| descriptor::duplicate(fd).ok()).find(is_controlling)?
            }
            Err(_) => return None,
        };
        let is_alone = process::own_pid() == 1 || process::leads_session();
        let is_shared = !is_alone && descriptor::stdout_is_pipe();
        Some(Self { descriptor, own_group: process::own_group(), is_alone, is_shared })
    }

    /// The descriptor to keep open.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Whether rinit's own group is the foreground one. Started in the background of an interactive shell it is
    /// not, and the terminal belongs to whom the user is typing to.
    pub fn is_ours(&self) -> bool {
        let terminal = self.descriptor.as_fd();
        // 0 is any group outside the PID namespace (`unshare --pid --fork rinit`): the shell's as well as rinit's.
        descriptor::foreground(terminal) == Ok(self.own_group)
            && (self.own_group != 0 || descriptor::may_read(terminal))
    }

    /// Whether the command is to have the foreground without asking for it: where that is rinit's to give away,
    /// and not in `rinit COMMAND | less`. There the pager wants it, which is in rinit's group; a command that does
    /// ask is stopped by SIGTTIN or SIGTTOU, and gets it then.
    pub fn is_to_hand_over(&self) -> bool {
        !self.is_shared && self.is_ours()
    }

    /// Makes this group the foreground one. The kernel's refusal (EPERM: the group has just ended; EIO: the
    /// terminal is gone) leaves nothing to do.
    pub fn give_to(&self, group: pid_t) {
        if let Err(errno) = descriptor::set_foreground(self.descriptor.as_fd(), group) {
            debug!("cannot make group {group} the terminal's foreground: {}", errno.desc());
        }
    }

    /// Makes this group the foreground one, if that is to be.
    pub fn hand_over(&self, group: pid_t) {
        if self.is_to_hand_over() {
            self.give_to(group);
        }
    }

    /// Takes the foreground back from this group: where that has it, or one that it started and that has ended.
    /// A shell script that goes on after rinit would otherwise be a background process of its own terminal.
    pub fn take_back(&self, group: pid_t) {
        let Ok(foreground) = descriptor::foreground(self.descriptor.as_fd()) else { return };
        let is_gone = || foreground > 1 && signal::send(-foreground, None) == Err(Errno::ESRCH);
        if foreground != self.own_group && (foreground == group || is_gone()) {
            self.give_to(self.own_group);
        }
    }

    /// The main child was stopped. Does what that means for rinit, and tells what it means for the command.
    /// `was_sent`: rinit itself had forwarded a stop, so this one is not the terminal's doing.
    ///
    /// Returns only when rinit runs again, if it stopped.
    pub fn stopped(&self, by: Signal, group: pid_t, was_sent: bool) -> Next {
        let wants_terminal = matches!(by, Signal::TTIN | Signal::TTOU);
        if wants_terminal && self.is_ours() {
            // A shell's `fg` of a job that was running in the background: it gives rinit the terminal and no
            // SIGCONT, and the command was the first to notice.
            self.give_to(group);
            return Next::Continue;
        }
        if self.is_alone {
            // Without an init the kernel would have ignored the stop, since
            // the process group would have been an orphaned one, setpgid(2). A background process that keeps
            // wanting the terminal is not that case: it would be stopped again at once, without end.
            let from_terminal = by == Signal::TSTP && !was_sent;
            return if from_terminal { Next::Continue } else { Next::Stay };
        }
        self.take_back(group);
        debug!("the command was stopped by {by}: stopping, too");
        if stop_own_group() || was_sent || !by.is_terminal_stop() || wants_terminal {
            Next::Stay
        } else {
            // Nobody above does job control, so rinit's group is an orphaned one and did not stop.
            self.hand_over(group);
            Next::Continue
        }
    }
}

fn is_controlling(descriptor: &OwnedFd) -> bool {
    descriptor::foreground(descriptor.as_fd()).is_ok()
}

/// Stops rinit's process group, rinit included, until it is continued; whether it was. The SIGCONT stays blocked
/// and pending: it is the next signal that rinit takes.
fn stop_own_group() -> bool {
    // Who was quicker than rinit to see the command stopped may have continued it. That SIGCONT would be lost:
    // generating a stop signal discards it, POSIX, "Signal Generation and Delivery". Between this look and the stop
    // one still is, as for any process that stops itself. (A handler would not do: the call that generates the stop
    // comes before it.) A shell sends none before rinit has stopped.
    if signal::pending().contains(Signal::CONT) {
        return true;
    }
    if let Err(errno) = signal::send(0, Some(Signal::TSTP)) {
        debug!("cannot stop the own process group: {}", errno.desc());
    }
    // rinit's own SIGTSTP is pending; unblocked, it stops rinit before this call returns, signal(7).
    signal::set_mask(SignalSet::ALL.without(Signal::TSTP));
    signal::set_mask(SignalSet::ALL);
    signal::pending().contains(Signal::CONT)
}
