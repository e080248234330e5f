//! The controlling terminal: which process group is in its foreground. See tty_ioctl(4),
//! credentials(7).
//!
//! The command has a process group of its own. So rinit does for the command what a shell does for
//! a job: it gives it the foreground, and takes the foreground back.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use libc::{STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO, pid_t};
use log::debug;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Pid, getpgrp, getsid, tcgetpgrp, tcsetpgrp};

use crate::signal::{self, Signal, SignalSet};
use crate::sys::{self, descriptor};

/// The controlling terminal of rinit's session.
pub(super) struct Terminal {
    pub(super) descriptor: OwnedFd,
    own_group: pid_t,
    /// Whether a shell above rinit controls rinit's job: it notices a stop, and can continue rinit.
    pub(super) has_job_control: bool,
    /// Whether the command gets the foreground whenever rinit has it to give. Standard input has to
    /// be the terminal. If standard output is a pipe as well, the command also has to be unable to
    /// ask for the terminal. True in any case once the command has asked for it. Otherwise the
    /// foreground may belong to another member of the pipeline, or to a script that runs beside
    /// rinit.
    is_entitled: Cell<bool>,
    /// Whether rinit has given the command the foreground, and has not taken it back. A shell that
    /// runs below the command may have passed it on.
    is_given: Cell<bool>,
}

impl Terminal {
    /// The controlling terminal. `None` if rinit's session has none. `mask` is the command's signal
    /// mask.
    pub(super) fn controlling(pid: pid_t, mask: SignalSet) -> Option<Self> {
        let descriptor = open()?;
        let stdin_is_terminal = foreground(descriptor::standard(STDIN_FILENO)).is_ok();
        Some(Self {
            descriptor,
            own_group: getpgrp().as_raw(),
            has_job_control: pid != 1 && getsid(None) != Ok(Pid::from_raw(pid)),
            is_entitled: Cell::new(stdin_is_terminal && (!stdout_is_pipe() || !can_ask(mask))),
            is_given: Cell::new(false),
        })
    }

    /// Whether the foreground is rinit's, the command's or that of a shell that runs below it.
    pub(super) fn job_has_foreground(&self, group: pid_t) -> bool {
        self.is_given.get() || self.owns_foreground() || foreground(&self.descriptor) == Ok(group)
    }

    /// Whether rinit has the foreground to give: the foreground group is rinit's own. In a
    /// background job of a shell it is not.
    fn owns_foreground(&self) -> bool {
        // The kernel returns 0 for any group outside the PID namespace (`unshare --pid --fork
        // rinit`): for the shell's as well as for rinit's. A read of no bytes tells them apart: if
        // SIGTTIN is blocked, it fails in a background process, see termios(3).
        let may_read = || nix::unistd::read(&self.descriptor, &mut []) != Err(Errno::EIO);
        foreground(&self.descriptor) == Ok(self.own_group) && (self.own_group != 0 || may_read())
    }

    /// Gives the foreground to the command's group, if the command is to get it now. Returns
    /// whether it got it.
    pub(super) fn give_if_due(&self, group: pid_t) -> bool {
        self.is_entitled.get() && self.owns_foreground() && self.set_foreground(group)
    }

    /// Gives the foreground to the command's group, which has asked for it by a stop, unless it
    /// belongs to another group that lives. Returns whether to continue the command.
    pub(super) fn give_on_request(&self, group: pid_t) -> bool {
        let foreground = foreground(&self.descriptor);
        if foreground == Ok(group) {
            // The command has got the foreground meanwhile. Under a shell, another process must
            // have sent the stop signal by hand, so the command stays stopped.
            return !self.has_job_control;
        }
        // If the foreground is not free now, the command gets it at the shell's next `fg`.
        self.is_entitled.set(true);
        let is_free = foreground.is_ok_and(|foreground| self.owns_foreground() || has_ended(foreground));
        is_free && self.set_foreground(group)
    }

    /// Takes the foreground back from this group, or from one that has ended. Otherwise a script
    /// that continues after rinit would be in the background of its own terminal.
    pub(super) fn take_back(&self, group: pid_t) {
        self.is_given.set(false);
        let Ok(foreground) = foreground(&self.descriptor) else { return };
        if foreground != self.own_group && (foreground == group || has_ended(foreground)) {
            self.set_foreground(self.own_group);
        }
    }

    /// Makes this group the foreground group. Returns whether that worked. SIGTTOU has to be
    /// blocked: see tcsetpgrp(3).
    fn set_foreground(&self, group: pid_t) -> bool {
        let result = tcsetpgrp(&self.descriptor, Pid::from_raw(group));
        if let Err(errno) = result {
            debug!("cannot make group {group} the terminal's foreground: {}", errno.desc());
        }
        self.is_given.set(result.is_ok() && group != self.own_group);
        result.is_ok()
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
            if foreground(&opened).is_ok() { Some(opened) } else { find() }
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
fn foreground(terminal: impl AsFd) -> Result<pid_t, Errno> {
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
