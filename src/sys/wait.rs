//! Waiting for children: wait4(2) and waitid(2), with the raw status word kept whole.

use std::fmt;
use std::mem::MaybeUninit;

use libc::{c_int, c_long, pid_t};
use nix::errno::Errno;

use super::check;
use super::signal::Signal;

/// The status word of a child, and the questions that wait(2)'s macros answer about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus(c_int);

impl WaitStatus {
    /// The status of a process that ended with this code.
    pub const fn exited(code: u8) -> Self {
        Self((code as c_int) << 8)
    }

    /// The code it exited with, where it did.
    pub fn exit_code(self) -> Option<u8> {
        libc::WIFEXITED(self.0).then_some((self.0 >> 8) as u8)
    }

    /// The signal that killed it, where one did.
    pub fn killed_by(self) -> Option<Signal> {
        if libc::WIFSIGNALED(self.0) { Signal::from_number(libc::WTERMSIG(self.0)) } else { None }
    }

    /// The signal that stopped it, where it is only stopped.
    pub fn stopped_by(self) -> Option<Signal> {
        if libc::WIFSTOPPED(self.0) { Signal::from_number(libc::WSTOPSIG(self.0)) } else { None }
    }

    /// The code that a shell, env(1) or docker would give: the exit code, or 128 + the signal.
    pub fn mirrored(self) -> u8 {
        match (self.exit_code(), self.killed_by()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal.number() as u8,
            // Not an end at all; nobody asks.
            (None, None) => 0,
        }
    }
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exit_code(), self.killed_by(), self.stopped_by()) {
            (Some(code), ..) => write!(out, "exited with {code}"),
            (_, Some(signal), _) => write!(out, "was killed by {signal}"),
            (_, _, Some(signal)) => write!(out, "was stopped by {signal}"),
            _ => out.write_str("goes on"),
        }
    }
}

impl fmt::Debug for WaitStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A child that changed state.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    /// Which one. Where it ended, the pid is free for reuse from here on.
    pub pid: pid_t,
    /// How.
    pub status: WaitStatus,
}

/// Whether to wait for a change, or only to look whether there was one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Return at once: WNOHANG.
    Look,
    /// Block until a child changes.
    Block,
}

/// Which changes of a child are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changes {
    /// That it ended.
    End,
    /// That it ended, or was stopped: WUNTRACED. The kernel then looks at each child that lives, every time.
    EndOrStop,
}

/// Takes the next child that changed; none, where no child has: wait4(2).
///
/// # Errors
/// ECHILD where there is no child at all.
pub fn next(changes: Changes, patience: Patience) -> Result<Option<Changed>, Errno> {
    let options = match changes {
        Changes::End => 0,
        Changes::EndOrStop => libc::WUNTRACED,
    } | match patience {
        Patience::Look => libc::WNOHANG,
        Patience::Block => 0,
    };
    let mut status = 0;
    // SAFETY: the status is a live int; no resource usage is asked for. musl's and glibc's waitpid are
    // cancellation points with nothing to gain here, so this is the call itself.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_wait4, -1, &raw mut status, options, std::ptr::null_mut::<u8>()) })?;
    Ok((pid > 0).then_some(Changed { pid: pid as pid_t, status: WaitStatus(status) }))
}

/// The same by another call: waitid(2), for a sandbox in which wait4 fails.
///
/// # Errors
/// As for [`next`].
pub fn next_by_waitid(changes: Changes) -> Result<Option<Changed>, Errno> {
    let stops = if changes == Changes::EndOrStop { libc::WSTOPPED } else { 0 };
    Ok(waitid(libc::WEXITED | stops | libc::WNOHANG)?.map(|info| {
        // SAFETY: waitid filled in a child's siginfo_t, which has a pid and a status.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        let word = match info.si_code {
            libc::CLD_EXITED => (status & 0xff) << 8,
            libc::CLD_KILLED => status,
            libc::CLD_DUMPED => status | 0x80,
            _ => status << 8 | 0x7f,
        };
        Changed { pid, status: WaitStatus(word) }
    }))
}

/// The pid of the next child that has ended, leaving it the zombie that it is, so that /proc can still be
/// asked about it: waitid(2) with WNOWAIT.
pub fn peek() -> Option<pid_t> {
    let info = waitid(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).ok()??;
    // SAFETY: waitid filled in a child's siginfo_t, which has a pid.
    Some(unsafe { info.si_pid() })
}

fn waitid(options: c_int) -> Result<Option<libc::siginfo_t>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a whole siginfo_t, zeroed, so that it is valid even where no child is found.
    check(c_long::from(unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) }))?;
    // SAFETY: zeroed or filled in.
    let info = unsafe { info.assume_init() };
    // SAFETY: with WNOHANG and nobody to report the pid is 0: waitid(2).
    Ok((unsafe { info.si_pid() } != 0).then_some(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_answers_as_wait_2_defines_it() {
        assert_eq!(WaitStatus(0x0300).exit_code(), Some(3));
        assert_eq!(WaitStatus(0x0300).mirrored(), 3);
        assert_eq!(WaitStatus(15).killed_by(), Some(Signal::TERM));
        assert_eq!(WaitStatus(15).mirrored(), 143);
        assert_eq!(WaitStatus(0x80 | 11).mirrored(), 139, "a core dump is a death like any other");
        assert_eq!(WaitStatus(64).mirrored(), 192, "real-time signals kill as well");
        assert_eq!(WaitStatus(0x147f).stopped_by(), Some(Signal::TSTP));
        assert_eq!(WaitStatus(0x147f).exit_code(), None);
        assert_eq!(WaitStatus::exited(125).mirrored(), 125);
    }
}
