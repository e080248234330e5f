//! The controlling terminal: which process group is in its foreground, and what a stop means. See
//! tty_ioctl(4), credentials(7).
//!
//! The command has a process group of its own. So rinit does for the command what a shell does for
//! a job: it gives it the foreground, and takes the foreground back. Under a shell with job
//! control, rinit stops its own group when the command stops, so that the shell notices. When the
//! shell continues rinit, rinit continues the command.

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
    /// Whether no shell above rinit could continue a job that was stopped.
    lacks_job_control: bool,
    /// Whether the command gets the foreground whenever rinit has it to give. True if standard
    /// input is the terminal, and standard output is no pipe or the command cannot ask for the
    /// terminal; also true once the command has asked for it. Otherwise the foreground may belong
    /// to another member of the pipeline, or to a script that runs beside rinit.
    is_entitled: Cell<bool>,
    /// Whether rinit has given the command the foreground, and has not taken it back. A shell that
    /// runs below the command may have passed it on.
    is_given: Cell<bool>,
}

/// Who sent a stop signal that rinit has forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopSender {
    /// The terminal: Ctrl-Z.
    Terminal,
    /// A process.
    Process,
}

/// What happens to a stopped main child.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StopAction {
    /// rinit continues it.
    Continue,
    /// It stays stopped until a SIGCONT comes.
    Stay,
}

impl Terminal {
    /// The controlling terminal. `None` if rinit's session has none. `mask` is the command's signal
    /// mask.
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

    /// Whether rinit has the foreground to give: the foreground group is rinit's own. In a
    /// background job of a shell it is not.
    fn is_ours(&self) -> bool {
        // The kernel returns 0 for any group outside the PID namespace (`unshare --pid --fork
        // rinit`): for the shell's as well as for rinit's. A read of no bytes tells them apart: if
        // SIGTTIN is blocked, it fails in a background process, see termios(3).
        let may_read = || nix::unistd::read(&self.descriptor, &mut []) != Err(Errno::EIO);
        foreground(self.descriptor.as_fd()) == Ok(self.own_group) && (self.own_group != 0 || may_read())
    }

    /// Whether the command is to get the foreground now.
    pub(super) fn is_to_hand_over(&self) -> bool {
        self.is_entitled.get() && self.is_ours()
    }

    /// Makes this group the foreground group. Returns whether that worked. SIGTTOU has to be
    /// blocked: see tcsetpgrp(3).
    pub(super) fn give_to(&self, group: pid_t) -> bool {
        let result = tcsetpgrp(&self.descriptor, Pid::from_raw(group));
        if let Err(errno) = result {
            debug!("cannot make group {group} the terminal's foreground: {}", errno.desc());
        }
        self.is_given.set(result.is_ok() && group != self.own_group);
        result.is_ok()
    }

    /// Gives the foreground to the command's group, if the command is to get it now.
    pub(super) fn hand_over(&self, group: pid_t) {
        if self.is_to_hand_over() {
            self.give_to(group);
        }
    }

    /// Takes the foreground back from this group, or from one that has ended. Otherwise a script
    /// that continues after rinit would be in the background of its own terminal.
    pub(super) fn take_back(&self, group: pid_t) {
        self.is_given.set(false);
        let Ok(foreground) = foreground(self.descriptor.as_fd()) else { return };
        if foreground != self.own_group && (foreground == group || has_ended(foreground)) {
            self.give_to(self.own_group);
        }
    }

    /// Decides what a stop of the main child means, and stops rinit too if needed. Returns when
    /// rinit runs again. `by` is the signal that stopped the main child, `group` its process group,
    /// `forwarded` who sent the signal if rinit forwarded it.
    pub(super) fn stopped(&self, by: Signal, group: pid_t, forwarded: Option<StopSender>) -> StopAction {
        let asks_for_terminal = matches!(by, Signal::TTIN | Signal::TTOU) && forwarded != Some(StopSender::Process);
        if asks_for_terminal && self.grant(group) {
            return StopAction::Continue;
        }
        // What to do if no shell above does job control. Without an init, the kernel would ignore a
        // Ctrl-Z then: the command's process group would be an orphaned one, see setpgid(2).
        let is_ctrl_z = by == Signal::TSTP && forwarded != Some(StopSender::Process);
        let without_shell = || if is_ctrl_z { StopAction::Continue } else { StopAction::Stay };
        if self.lacks_job_control {
            return without_shell();
        }
        let has_foreground = self.is_given.get() || self.is_ours() || foreground(self.descriptor.as_fd()) == Ok(group);
        if !has_foreground && !asks_for_terminal && forwarded.is_none() {
            // Another process stopped the command of a background job by hand. It will continue the
            // command, but not rinit, so rinit must not stop.
            return StopAction::Stay;
        }
        self.take_back(group);
        debug!("the command was stopped by {by}: rinit stops too");
        // If rinit got the terminal's SIGTSTP, each member of rinit's group got one too, and must
        // not get another one.
        let stops_alone = forwarded == Some(StopSender::Terminal);
        if stop(if stops_alone { own_pid() } else { 0 }) {
            return StopAction::Stay;
        }
        // rinit did not stop: its own process group is an orphaned one, so no shell above does job
        // control.
        self.hand_over(group);
        without_shell()
    }

    /// Stops rinit alone: the terminal has stopped the rest of its job. Returns when rinit is
    /// continued.
    pub(super) fn suspend(&self) {
        stop(own_pid());
    }

    /// Gives the foreground to the command, which has asked for it by the stop, unless it belongs
    /// to another group that lives. Returns whether to continue the command.
    fn grant(&self, group: pid_t) -> bool {
        match foreground(self.descriptor.as_fd()) {
            // The command has got the foreground meanwhile. Under a shell, another process must
            // have sent the stop signal by hand, so the command stays stopped.
            Ok(foreground) if foreground == group => self.lacks_job_control,
            Ok(foreground) if self.is_ours() || has_ended(foreground) => {
                self.is_entitled.set(true);
                self.give_to(group)
            }
            _ => {
                // When the shell's `fg` comes later, the foreground is for the command.
                self.is_entitled.set(true);
                false
            }
        }
    }
}

/// Gives up the session's terminal, so that a command in a session of its own can acquire it. The
/// kernel sends SIGHUP and SIGCONT to the foreground group. The command must not get these signals,
/// so rinit discards its own. Returns whether the terminal is free now.
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

/// Opens the controlling terminal: see tty(4). If the session has none and rinit leads it, rinit
/// acquires the terminal at standard input, as an interactive shell would, unless it is another
/// session's.
fn open() -> Option<OwnedFd> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match nix::fcntl::open(c"/dev/tty", flags, Mode::empty()) {
        Ok(opened) => {
            let opened = descriptor::move_above_stderr(opened).ok()?;
            // /dev/tty may be a regular file or a FIFO.
            if foreground(opened.as_fd()).is_ok() { Some(opened) } else { find() }
        }
        // The session has no controlling terminal.
        Err(Errno::ENXIO) => {
            let stdin = descriptor::standard(STDIN_FILENO);
            sys::terminal::acquire(stdin).ok().and_then(|()| descriptor::duplicate(stdin).ok())
        }
        // The root has no /dev, or rinit may not open the file.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EPERM) => find(),
        Err(_) => None,
    }
}

/// Finds the controlling terminal among the standard descriptors, or acquires the one at standard
/// input.
fn find() -> Option<OwnedFd> {
    let is_controlling = |number: &RawFd| foreground(descriptor::standard(*number)).is_ok();
    let acquired = || sys::terminal::acquire(descriptor::standard(STDIN_FILENO)).ok().map(|()| STDIN_FILENO);
    let number = (STDIN_FILENO..=STDERR_FILENO).find(is_controlling).or_else(acquired)?;
    descriptor::duplicate(descriptor::standard(number)).ok()
}

/// The foreground process group; 0 if it is outside the PID namespace: see tcgetpgrp(3).
///
/// # Errors
/// ENOTTY if this is not the controlling terminal.
fn foreground(terminal: BorrowedFd<'_>) -> Result<pid_t, Errno> {
    tcgetpgrp(terminal).map(Pid::as_raw)
}

/// Whether no process is left in a process group.
fn has_ended(group: pid_t) -> bool {
    group > 1 && !signal::has_receiver(-group)
}

/// Whether the command can ask for the terminal: if it reads in the background, SIGTTIN stops it.
/// If it ignores or blocks SIGTTIN, as under bash in `$(rinit COMMAND)`, its read fails instead:
/// see tty_ioctl(4).
fn can_ask(mask: SignalSet) -> bool {
    !mask.contains(Signal::TTIN) && Signal::TTIN.is_ignored() != Ok(true)
}

/// Whether standard output goes to another process: through a pipe, see pipe(7), or through a
/// socket pair, which some shells use instead.
fn stdout_is_pipe() -> bool {
    let kind = fstat(descriptor::standard(STDOUT_FILENO)).map_or(0, |status| status.st_mode & libc::S_IFMT);
    kind == libc::S_IFIFO || kind == libc::S_IFSOCK
}

/// Stops rinit's process group (0) or rinit alone (its pid). Returns true after rinit has been
/// continued, false if it did not stop. The SIGCONT stays blocked and pending, so that rinit takes
/// it like any other signal.
fn stop(target: pid_t) -> bool {
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
