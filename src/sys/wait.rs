//! Waiting for children, with the complete status word: see wait4(2), waitid(2).

use std::mem::MaybeUninit;

use libc::{c_int, c_long, pid_t, siginfo_t};
use nix::errno::Errno;

use super::{check, signal};

/// The status word of a child. The methods answer as wait(2)'s macros do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitStatus(c_int);

impl WaitStatus {
    /// The code that the child exited with.
    pub(crate) fn exit_code(self) -> Option<u8> {
        libc::WIFEXITED(self.0).then_some((self.0 >> 8) as u8)
    }

    /// The signal that killed the child.
    pub(crate) fn killed_by(self) -> Option<c_int> {
        libc::WIFSIGNALED(self.0).then_some(libc::WTERMSIG(self.0))
    }

    /// The signal that stopped the child.
    pub(crate) fn stopped_by(self) -> Option<c_int> {
        libc::WIFSTOPPED(self.0).then_some(libc::WSTOPSIG(self.0))
    }

    /// Whether the child was continued.
    pub(crate) fn is_continued(self) -> bool {
        libc::WIFCONTINUED(self.0)
    }

    /// The code that a shell, env(1) or docker would exit with: the child's code, or 128 + the
    /// signal.
    pub(crate) fn shell_exit_code(self) -> u8 {
        self.exit_code().or_else(|| Some(128 + self.killed_by()? as u8)).unwrap_or(0)
    }
}

/// A child that changed state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChildEvent {
    /// Its pid. If the child has ended, the kernel may use this pid again from now on.
    pub(crate) pid: pid_t,
    /// What happened.
    pub(crate) status: WaitStatus,
}

/// Which changes of a child to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// Its end.
    End,
    /// Its end, a stop, and a continue. The kernel then looks at every live child on each call.
    EndStopContinue,
}

/// Takes the next child that changed state, if there is one: see wait4(2). `__WALL` includes a
/// child that sends a signal other than SIGCHLD when it ends; rinit may have inherited one across
/// its exec.
///
/// # Errors
/// ECHILD if there is no child at all.
pub(crate) fn next_child(what: WaitFor) -> Result<Option<ChildEvent>, Errno> {
    let stops = if what == WaitFor::EndStopContinue { libc::WUNTRACED | libc::WCONTINUED } else { 0 };
    let event = wait4(-1, libc::WNOHANG | libc::__WALL | stops)?;
    Ok((event.pid > 0).then_some(event))
}

/// Waits until this child has ended.
pub(crate) fn end_of(child: pid_t) {
    // A failure is not logged: rinit is about to exit.
    let _ = wait4(child, libc::__WALL);
}

/// Makes the system call directly. The C library's waitpid is also a cancellation point, which
/// costs something and gains nothing here.
fn wait4(child: pid_t, options: c_int) -> Result<ChildEvent, Errno> {
    let mut status = 0;
    let nobody: *mut libc::rusage = std::ptr::null_mut();
    // SAFETY: the status is a live int, and no resource usage is asked for.
    let pid = unsafe { libc::syscall(libc::SYS_wait4, c_long::from(child), &raw mut status, options, nobody) };
    Ok(ChildEvent { pid: check(pid)? as pid_t, status: WaitStatus(status) })
}

/// Does the same as [`next_child`] with waitid(2), for a sandbox in which wait4(2) fails.
///
/// # Errors
/// As for [`next_child`].
pub(crate) fn next_child_by_waitid(what: WaitFor) -> Result<Option<ChildEvent>, Errno> {
    let stops = if what == WaitFor::EndStopContinue { libc::WSTOPPED | libc::WCONTINUED } else { 0 };
    Ok(waitid(libc::WEXITED | stops)?.map(|info| {
        let (pid, status) = signal::pid_and_status(&info);
        let word = match info.si_code {
            libc::CLD_EXITED => (status & 0xff) << 8,
            libc::CLD_KILLED => status,
            libc::CLD_DUMPED => status | 0x80,
            libc::CLD_CONTINUED => 0xffff,
            _ => status << 8 | 0x7f,
        };
        ChildEvent { pid, status: WaitStatus(word) }
    }))
}

/// The pid of the next child that has ended. The child stays a zombie, so that /proc still knows
/// its name: see WNOWAIT in waitid(2).
pub(crate) fn peek() -> Option<pid_t> {
    waitid(libc::WEXITED | libc::WNOWAIT).ok()?.map(|info| signal::pid_and_status(&info).0)
}

fn waitid(options: c_int) -> Result<Option<siginfo_t>, Errno> {
    let mut info = MaybeUninit::<siginfo_t>::zeroed();
    let options = options | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` has room for a siginfo_t. All-zero bytes are a valid one, and stay if there is
    // no child to report.
    let info = unsafe {
        check(c_long::from(libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options)))?;
        info.assume_init()
    };
    Ok((signal::pid_and_status(&info).0 != 0).then_some(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_answers_as_wait_2_defines_it() {
        assert_eq!(WaitStatus(0x0300).exit_code(), Some(3));
        assert_eq!(WaitStatus(0x0300).shell_exit_code(), 3);
        assert_eq!(WaitStatus(15).killed_by(), Some(libc::SIGTERM));
        assert_eq!(WaitStatus(15).shell_exit_code(), 143);
        assert_eq!(WaitStatus(0x80 | 11).shell_exit_code(), 139, "a core dump is a death like any other");
        assert_eq!(WaitStatus(64).shell_exit_code(), 192, "real-time signals kill as well");
        assert_eq!(WaitStatus(0x147f).stopped_by(), Some(libc::SIGTSTP));
        assert_eq!(WaitStatus(0x147f).exit_code(), None);
        assert!(WaitStatus(0xffff).is_continued() && !WaitStatus(0x147f).is_continued());
    }
}
