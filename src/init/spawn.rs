//! Starting the command: the clone, and what the child does before it executes the command.
//!
//! The command sees what it would see without rinit: the signal mask and the dispositions that
//! rinit inherited, the same descriptors, directory, environment and scheduling. Two differences
//! are intended: a process group of its own, and the variables that name its pid.
//!
//! rinit continues when the child has executed the command. So for an instant both hold the
//! inherited descriptors and the directory.

use std::time::Duration;

use libc::pid_t;
use log::{error, warn};
use nix::errno::Errno;
use nix::unistd::{Pid, setpgid, setsid};

use super::exec::{self, Refusal};
use super::terminal::{self, Terminal};
use crate::config::Config;
use crate::logging::escape::Escaped;
use crate::persona::FailureCodes;
use crate::signal::{self, Signal, SignalSet};
use crate::sys::arguments::Arguments;
use crate::sys::process::{self, Scheduling};
use crate::sys::{self, wait};

/// What rinit inherited and the command has to get, though rinit itself has changed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    /// rinit's own pid, which variables such as LISTEN_PID may hold.
    pub(super) pid: pid_t,
    /// The signal mask.
    pub(super) mask: SignalSet,
    /// Whether SIGCHLD was ignored.
    pub(super) ignores_sigchld: bool,
    /// Whether rinit is killed if its parent dies. Then the command has to be killed if rinit dies.
    pub(super) dies_with_parent: bool,
}

/// Starts the command as a child in a process group of its own. Gives it the terminal's foreground,
/// if rinit has that to give.
///
/// # Errors
/// The code to exit with. The reason has been logged.
pub(super) fn start(
    config: &Config,
    command: Arguments,
    inherited: Inherited,
    terminal: Option<&Terminal>,
) -> Result<pid_t, u8> {
    let codes = config.persona.codes;
    let name = command.first().unwrap_or_default();
    let takes_terminal = config.starts_session() && terminal::give_up_terminal();
    let mut has_run = false;
    let mut failed = None;
    let mut child = || {
        has_run = true;
        let code = become_command(config, command, inherited, terminal, takes_terminal);
        failed = Some(code);
        code
    };
    // SAFETY: this function expects what the closure changes: `has_run`, `failed`, and the state of
    // the modules that it calls. The closure does not unwind: the crate aborts on panic. rinit has
    // one thread.
    let pid = unsafe { process::spawn_sharing_memory(&mut child) }.map_err(|errno| refused(errno, codes))?;
    // If the command is a script without `#!`, the child has put its path there. That path was on
    // the child's stack.
    command.set_first(name);
    if let Some(code) = failed {
        wait::end_of(pid);
        return Err(code);
    }
    if !has_run && !config.starts_session() {
        // An emulator (qemu-user) forks instead: rinit was not suspended, and the child may not
        // have called setpgid yet. If the child has already executed the command, this fails and is
        // not needed.
        let _ = setpgid(Pid::from_raw(pid), Pid::from_raw(pid));
    }
    if sys::signal::is_recorded() {
        // A Ctrl-Z came before the exec. Now the command gets it.
        let _ = Signal::TSTP.send(-pid);
    }
    Ok(pid)
}

/// What the child does until the exec. All signals are blocked. Returns only if it fails: the code
/// to exit with. The reason has been logged.
fn become_command(
    config: &Config,
    command: Arguments,
    inherited: Inherited,
    terminal: Option<&Terminal>,
    takes_terminal: bool,
) -> u8 {
    let codes = config.persona.codes;
    let cannot = |what, errno: Errno| {
        error!("cannot {what} for the command: {}", errno.desc());
        codes.failure
    };
    let parent = inherited.pid;
    let itself = Pid::from_raw(0);
    let separated = if config.starts_session() { setsid().map(drop) } else { setpgid(itself, itself) };
    if let Err(errno) = separated {
        return cannot("make a process group", errno);
    }
    if takes_terminal {
        terminal::acquire_terminal();
    }
    if let Err(errno) = discard_doubles() {
        return cannot("take a signal", errno);
    }
    if terminal.is_some_and(|terminal| terminal.give_if_due(process::own_pid())) {
        // From here on a Ctrl-Z goes to the child. It must not stop the child before the exec:
        // rinit would stay suspended with it. So the child only records the signal. The exec
        // restores the default action: see execve(2).
        let _ = sys::signal::record(Signal::TSTP.number());
    }
    if inherited.dies_with_parent
        && let Err(errno) = Signal::KILL.receive_on_death_of(Pid::from_raw(parent))
    {
        warn!("the command goes on if rinit is killed: {}", errno.desc());
    }
    keep_scheduling(parent);
    if inherited.ignores_sigchld {
        let _ = Signal::CHLD.set_ignored(true);
    }
    if let Err(errno) = signal::set_mask(inherited.mask) {
        return cannot("restore the signal mask", errno);
    }
    let refusal = exec::execute(command, parent);
    // Block signals again: SIGPIPE from a message to a closed pipe must not kill the child before
    // it returns its exit code.
    let _ = signal::set_mask(SignalSet::ALL);
    report(command, refusal, codes)
}

/// Discards stop signals and real-time signals that were sent to rinit's group while the child was
/// still in it. rinit has received each of them too, and forwards it. A child that is stopped
/// before the exec would keep rinit suspended. A real-time signal would arrive twice; other signals
/// do not queue, see signal(7).
fn discard_doubles() -> Result<(), Errno> {
    loop {
        match signal::wait(SignalSet::STOPS_AND_REAL_TIME, Some(Duration::ZERO)) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Gives the child rinit's scheduling policy and nice value, if the clone has reset them: see
/// SCHED_RESET_ON_FORK in sched(7).
fn keep_scheduling(parent: pid_t) {
    let Some(scheduling) = Scheduling::of(parent).ok().filter(Scheduling::is_reset_on_fork) else { return };
    if let Err(errno) = scheduling.apply() {
        warn!("cannot keep the scheduling policy, which is reset on fork: {}", errno.desc());
    }
}

/// Logs why the exec failed. Returns the code to exit with.
fn report(command: Arguments, Refusal { errno, hint }: Refusal, codes: FailureCodes) -> u8 {
    let name = command.first().unwrap_or_default();
    error!("cannot run '{}': {}{hint}", Escaped(name.to_bytes()), errno.desc());
    match errno {
        Errno::ENOENT => codes.not_found,
        Errno::ENOTDIR if codes.not_found == 127 && codes.cannot_run == 126 => codes.not_found,
        Errno::EACCES => codes.not_permitted,
        _ => codes.cannot_run,
    }
}

/// Logs why the kernel started no process. Returns the code to exit with.
fn refused(errno: Errno, codes: FailureCodes) -> u8 {
    let is_deadline = || Scheduling::of(0).is_ok_and(|scheduling| scheduling.is_deadline());
    let hint = match errno {
        Errno::EAGAIN if is_deadline() => "; the scheduling policy SCHED_DEADLINE forbids it, see sched(7)",
        Errno::EAGAIN => "; a limit on processes is reached (--pids-limit, ulimit -u)",
        Errno::ENOMEM => "; memory is short, or the PID namespace has lost its init",
        _ => "",
    };
    error!("cannot start a process: {}{hint}", errno.desc());
    codes.failure
}
