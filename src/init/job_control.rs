//! The controlling terminal: who has its foreground, and what a stop means. tty_ioctl(4), credentials(7).
//!
//! The command has a process group of its own. So rinit does for it what a shell does for a job: it gives it the foreground and takes
//! that back. Under a shell with job control it passes a stop of the command on to that shell, by stopping its own group, and the shell's
//! continue on to the command.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use libc::{STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO, pid_t};
use log::debug;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Pid, getpgrp, getsid, tcgetpgrp, tcsetpgrp};

use crate::signal::{self, Signal, SignalSet};
use crate::sys::process::own_pid;
use crate::sys::{self, descriptor};

/// The controlling terminal of rinit's session.
#[derive(Debug)]
pub(super) struct Terminal {
    descriptor: OwnedFd,
    own_group: pid_t,
    /// No shell above could resume what was stopped.
    lacks_job_control: bool,
    /// The command gets the foreground whenever that is rinit's to give: standard input is the terminal and standard output is no
    /// pipe, or the command has asked for it. Otherwise it may belong to another member of the pipeline, or to the script that goes on
    /// beside rinit.
    is_entitled: Cell<bool>,
    /// The command was given the foreground, and it has not been taken back. A shell below the command may have given it on.
    is_given: Cell<bool>,
}

/// Who sent the stop that rinit has forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopSender {
    /// The terminal: Ctrl-Z.
    Terminal,
    /// A process.
    Process,
}

/// What a stopped main child is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StopAction {
    /// Go on.
    Continue,
    /// Stay stopped until a SIGCONT comes.
    Stay,
}

impl Terminal {
    /// The controlling terminal. `None` if rinit's session has none. `mask` is what the command will have blocked.
    pub(super) fn controlling(pid: pid_t, mask: SignalSet) -> Option<Self> {
        let descriptor = open()?;
        let lacks_job_control = pid == 1 || getsid(None) == Ok(Pid::from_raw(pid));
        let stdin_is_terminal = foreground(descriptor::standard(STDIN_FILENO)).is_ok();
        let is_entitled = Cell::new(stdin_is_terminal && (!stdout_is_pipe() || !can_ask(mask)));
        Some(Self {
            descriptor,
            own_group: getpgrp().as_raw(),
            lacks_job_control,
            is_entitled,
            is_given: Cell::new(false),
        })
    }

    /// The descriptor to keep open.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Whether a shell above controls rinit's job.
    pub(super) fn has_job_control(&self) -> bool {
        !self.lacks_job_control
    }

    /// Whether the foreground is rinit's to give: it is rinit's own group. A shell's background job does not have it.
    fn is_ours(&self) -> bool {
        // 0 is any group outside the PID namespace (`unshare --pid --fork rinit`): the shell's as well as rinit's. A read of no bytes
        // tells them apart: with SIGTTIN blocked the kernel refuses it to a background process, termios(3).
        let may_read = || nix::unistd::read(&self.descriptor, &mut []) != Err(Errno::EIO);
        foreground(self.descriptor.as_fd()) == Ok(self.own_group) && (self.own_group != 0 || may_read())
    }

    /// Whether the command is to get the foreground now.
    pub(super) fn is_to_hand_over(&self) -> bool {
        self.is_entitled.get() && self.is_ours()
    }

    /// Makes this group the foreground one. Returns whether the kernel did it. SIGTTOU has to be blocked: tcsetpgrp(3).
    pub(super) fn give_to(&self, group: pid_t) -> bool {
        let result = tcsetpgrp(&self.descriptor, Pid::from_raw(group));
        if let Err(errno) = result {
            debug!("cannot make group {group} the terminal's foreground: {}", errno.desc());
        }
        self.is_given.set(result.is_ok() && group != self.own_group);
        result.is_ok()
    }

    /// Gives the foreground to the command's group, if it is to have it.
    pub(super) fn hand_over(&self, group: pid_t) {
        if self.is_to_hand_over() {
            self.give_to(group);
        }
    }

    /// Takes the foreground back from this group, or from one that has ended. A script that goes on after rinit would otherwise be in
    /// the background of its own terminal.
    pub(super) fn take_back(&self, group: pid_t) {
        self.is_given.set(false);
        let Ok(foreground) = foreground(self.descriptor.as_fd()) else { return };
        if foreground != self.own_group && (foreground == group || has_ended(foreground)) {
            self.give_to(self.own_group);
        }
    }

    /// Decides what a stop of the main child means, and does what it means for rinit. `forwarded` tells who sent the stop that rinit has
    /// forwarded before. Returns only when rinit runs again, if it stopped.
    pub(super) fn stopped(&self, by: Signal, group: pid_t, forwarded: Option<StopSender>) -> StopAction {
        let asks_for_terminal = matches!(by, Signal::TTIN | Signal::TTOU) && forwarded != Some(StopSender::Process);
        if asks_for_terminal && self.grant(group) {
            return StopAction::Continue;
        }
        // Without an init the kernel would have ignored this stop: the process group would have been an orphaned one, setpgid(2).
        let is_terminals = by == Signal::TSTP && forwarded != Some(StopSender::Process);
        let unless_terminals = |is_terminals| if is_terminals { StopAction::Continue } else { StopAction::Stay };
        if self.lacks_job_control {
            return unless_terminals(is_terminals);
        }
        let has_foreground = self.is_given.get() || self.is_ours() || foreground(self.descriptor.as_fd()) == Ok(group);
        if !has_foreground && !asks_for_terminal && forwarded.is_none() {
            // Somebody stopped the command of a background job by hand. Whoever did it can continue it, but not rinit's group.
            return StopAction::Stay;
        }
        self.take_back(group);
        debug!("the command was stopped by {by}: rinit stops too");
        // The terminal has sent its SIGTSTP to each member of rinit's group, if that was the foreground. Another one would be theirs.
        let stops_alone = forwarded == Some(StopSender::Terminal);
        if stop(if stops_alone { own_pid() } else { 0 }) {
            return StopAction::Stay;
        }
        // Nobody above does job control: rinit's group is an orphaned one itself, and did not stop.
        self.hand_over(group);
        unless_terminals(is_terminals)
    }

    /// Stops rinit, as the terminal has stopped the rest of its job. Returns when rinit is continued.
    pub(super) fn suspend(&self) {
        stop(own_pid());
    }

    /// Gives the foreground to the command, which asks for it. Returns whether the command has it now. Not if it belongs to another group
    /// that lives.
    fn grant(&self, group: pid_t) -> bool {
        match foreground(self.descriptor.as_fd()) {
            // It has been given meanwhile. Under a shell somebody sent the stop by hand.
            Ok(foreground) if foreground == group => self.lacks_job_control,
            Ok(foreground) if self.is_ours() || has_ended(foreground) => {
                self.is_entitled.set(true);
                self.give_to(group)
            }
            _ => {
                // A shell's `fg` comes later, and is for the command then.
                self.is_entitled.set(true);
                false
            }
        }
    }
}

/// Gives the session's terminal up, so that a command in a session of its own can acquire it. The kernel tells rinit's group by SIGHUP
/// and SIGCONT, which are not for the command. Returns whether the terminal is free now.
pub(super) fn give_up_terminal() -> bool {
    let is_free = getsid(None) == Ok(Pid::this()) && sys::terminal::give_up(descriptor::standard(STDIN_FILENO)).is_ok();
    if is_free {
        for signal in [Signal::HUP, Signal::CONT] {
            let _ = signal::wait(SignalSet::EMPTY.with(signal), Some(std::time::Duration::ZERO));
        }
    }
    is_free
}

/// Acquires the terminal at standard input for the caller's session.
pub(super) fn acquire_terminal() {
    let _ = sys::terminal::acquire(descriptor::standard(STDIN_FILENO));
}

/// Opens the controlling terminal: tty(4). The leader of a session without one acquires that at standard input, as an interactive
/// shell would, unless it is another session's.
fn open() -> Option<OwnedFd> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match nix::fcntl::open(c"/dev/tty", flags, Mode::empty()) {
        Ok(opened) => {
            let opened = descriptor::move_above_stderr(opened).ok()?;
            // Somebody may have put a regular file or a FIFO there.
            if foreground(opened.as_fd()).is_ok() { Some(opened) } else { find() }
        }
        // The session has none.
        Err(Errno::ENXIO) => {
            let stdin = descriptor::standard(STDIN_FILENO);
            sys::terminal::acquire(stdin).ok().and_then(|()| descriptor::duplicate(stdin).ok())
        }
        // A root without /dev.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EPERM) => find(),
        Err(_) => None,
    }
}

/// The controlling terminal among the standard descriptors.
fn find() -> Option<OwnedFd> {
    let is_controlling = |number: &RawFd| foreground(descriptor::standard(*number)).is_ok();
    let acquired = || sys::terminal::acquire(descriptor::standard(STDIN_FILENO)).ok().map(|()| STDIN_FILENO);
    let number = (STDIN_FILENO..=STDERR_FILENO).find(is_controlling).or_else(acquired)?;
    descriptor::duplicate(descriptor::standard(number)).ok()
}

/// The foreground process group; 0 if it is outside the PID namespace: tcgetpgrp(3).
///
/// # Errors
/// ENOTTY if this is not the controlling terminal.
fn foreground(terminal: BorrowedFd<'_>) -> Result<pid_t, Errno> {
    tcgetpgrp(terminal).map(Pid::as_raw)
}

/// Whether nobody is left in a process group.
fn has_ended(group: pid_t) -> bool {
    group > 1 && !signal::has_receiver(-group)
}

/// Whether the command can ask for the terminal: SIGTTIN then stops it. It fails to read instead if it ignores or blocks SIGTTIN, as bash
/// has it for `$(rinit COMMAND)`: tty_ioctl(4).
fn can_ask(mask: SignalSet) -> bool {
    !mask.contains(Signal::TTIN) && Signal::TTIN.is_ignored() != Ok(true)
}

/// Whether standard output goes to another process: pipe(7), or the socket pair that some shells use for it.
fn stdout_is_pipe() -> bool {
    let kind = fstat(descriptor::standard(STDOUT_FILENO)).map_or(0, |status| status.st_mode & libc::S_IFMT);
    kind == libc::S_IFIFO || kind == libc::S_IFSOCK
}

/// Stops rinit's process group (0) or rinit alone (its pid) until it is continued. Returns whether it was. The SIGCONT stays blocked and
/// pending: it is the next signal that rinit takes.
fn stop(target: pid_t) -> bool {
    // Somebody may have seen the command stopped before rinit, and continued it. That SIGCONT would be lost: a stop signal discards it,
    // POSIX, "Signal Generation and Delivery". One that comes between this look and the stop still is, as for any process that stops
    // itself. A shell sends none before rinit has stopped.
    if signal::pending().contains(Signal::CONT) {
        return true;
    }
    if let Err(errno) = Signal::TSTP.send(target) {
        debug!("cannot stop rinit's process group: {}", errno.desc());
    }
    // rinit's own SIGTSTP is pending. Unblocked, it stops rinit before this call returns: signal(7).
    let result = signal::set_mask(SignalSet::ALL.without(Signal::TSTP)).and_then(|_| signal::set_mask(SignalSet::ALL));
    if let Err(errno) = result {
        debug!("cannot change the signal mask: {}", errno.desc());
    }
    signal::pending().contains(Signal::CONT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn a_group_lives_as_long_as_one_of_its_members() {
        let mut leader = Command::new("sh").args(["-c", "sleep 600 &"]).process_group(0).spawn().unwrap();
        assert!(leader.wait().unwrap().success());
        let group = Pid::from_raw(leader.id() as pid_t);
        assert!(!has_ended(group.as_raw()));
        nix::sys::signal::killpg(group, nix::sys::signal::SIGKILL).unwrap();
    }
}
