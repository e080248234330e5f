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
/// child that was cloned with an exit signal other than SIGCHLD; rinit may have inherited one
/// across its exec.
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
    Ok(waitid(None, libc::WEXITED | stops)?.map(|info| {
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

/// The pid of the next child that has ended, if there is one. The child stays a zombie, so that
/// /proc still knows its name: see WNOWAIT in waitid(2).
///
/// # Errors
/// As for [`next_child`].
pub(crate) fn peek() -> Result<Option<pid_t>, Errno> {
    Ok(waitid(None, libc::WEXITED | libc::WNOWAIT)?.map(|info| signal::pid_and_status(&info).0))
}

/// Whether this child has ended. It stays a zombie.
pub(crate) fn has_ended(child: pid_t) -> bool {
    matches!(waitid(Some(child), libc::WEXITED | libc::WNOWAIT), Ok(Some(_)))
}

/// Takes the report that this child was continued, if there is one. Returns whether there was.
pub(crate) fn take_continue(child: pid_t) -> bool {
    matches!(waitid(Some(child), libc::WCONTINUED), Ok(Some(_)))
}

/// Waits for this child, or for any.
fn waitid(child: Option<pid_t>, options: c_int) -> Result<Option<siginfo_t>, Errno> {
    let (kind, id) = child.map_or((libc::P_ALL, 0), |child| (libc::P_PID, child as libc::id_t));
    let mut info = MaybeUninit::<siginfo_t>::zeroed();
    let options = options | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` has room for a siginfo_t. All-zero bytes are a valid one, and stay if there is
    // no child to report.
    let info = unsafe {
        check(c_long::from(libc::waitid(kind, id, info.as_mut_ptr(), options)))?;
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

    /// Forks, and runs `run` in the child, which exits with its result. `run` makes only system
    /// calls: see fork(2).
    fn fork(run: impl FnOnce() -> c_int) -> pid_t {
        // SAFETY: the child makes only system calls, and ends without returning.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(run()) };
        }
        pid
    }

    /// A child that sends itself a signal. If it goes on, it exits with 7, after a stop only once
    /// it is killed.
    fn child_with(number: c_int) -> pid_t {
        fork(|| {
            // SAFETY: only system calls.
            unsafe {
                libc::signal(number, libc::SIG_DFL);
                let _ = signal::set_mask(0).and_then(|_| signal::kill(libc::getpid(), number));
                if number == libc::SIGSTOP {
                    loop {
                        libc::pause();
                    }
                }
            }
            7
        })
    }

    /// Waits until this child has changed in this way. The change stays to be taken.
    fn wait_until(child: pid_t, change: c_int) {
        let mut info = MaybeUninit::<siginfo_t>::zeroed();
        // SAFETY: `info` has room for a siginfo_t.
        unsafe { libc::waitid(libc::P_PID, child as libc::id_t, info.as_mut_ptr(), change | libc::WNOWAIT) };
    }

    type Take = fn(WaitFor) -> Result<Option<ChildEvent>, Errno>;

    /// Takes each kind of change with this call. Fails with the number of the first step that went
    /// wrong.
    fn take_each(take: Take) -> Result<(), c_int> {
        use WaitFor::{End, EndStopContinue};
        let check = |step, is_right: bool| if is_right { Ok(()) } else { Err(step) };
        let takes = |what, child, words: &[c_int]| {
            take(what).is_ok_and(|event| event.is_some_and(|it| it.pid == child && words.contains(&it.status.0)))
        };
        check(1, take(End).err() == Some(Errno::ECHILD) && peek() == Err(Errno::ECHILD))?;

        let child = child_with(libc::SIGSTOP);
        wait_until(child, libc::WSTOPPED);
        check(2, matches!(take(End), Ok(None)))?;
        check(3, takes(EndStopContinue, child, &[libc::SIGSTOP << 8 | 0x7f]))?;
        check(4, matches!(take(EndStopContinue), Ok(None)) && peek() == Ok(None))?;
        check(5, signal::kill(child, libc::SIGCONT).is_ok())?;
        wait_until(child, libc::WCONTINUED);
        check(6, matches!(take(End), Ok(None)))?;
        check(7, takes(EndStopContinue, child, &[0xffff]))?;
        check(8, signal::kill(child, libc::SIGKILL).is_ok())?;
        wait_until(child, libc::WEXITED);
        check(9, takes(EndStopContinue, child, &[libc::SIGKILL]))?;

        let child = child_with(0);
        wait_until(child, libc::WEXITED);
        check(10, peek() == Ok(Some(child)))?;
        check(11, takes(End, child, &[7 << 8]))?;

        // With a core dump or without one: that depends on the machine.
        let child = child_with(libc::SIGQUIT);
        wait_until(child, libc::WEXITED);
        check(12, takes(End, child, &[libc::SIGQUIT, libc::SIGQUIT | 0x80]))?;

        end_of(child_with(0));
        check(13, take(End).err() == Some(Errno::ECHILD))
    }

    #[test]
    fn either_call_takes_each_change_of_a_child() {
        let directory = std::env::temp_dir().join(format!("rinit-wait-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = std::ffi::CString::new(directory.to_str().unwrap()).unwrap();
        let results = [next_child as Take, next_child_by_waitid].map(|take| {
            // In a process of its own, since the calls also take the children of another test. A
            // core dump goes to the directory.
            let pid = fork(|| {
                // SAFETY: system calls only. A call that waits without end is ended by the alarm.
                unsafe {
                    libc::signal(libc::SIGALRM, libc::SIG_DFL);
                    libc::chdir(path.as_ptr());
                    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                    libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit);
                    limit.rlim_cur = limit.rlim_max;
                    libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
                    libc::alarm(20);
                }
                take_each(take).err().unwrap_or(0)
            });
            let mut status = 0;
            // SAFETY: a live int.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            WaitStatus(status)
        });
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(results.map(WaitStatus::exit_code), [Some(0); 2], "the step that went wrong, or a signal");
    }
}
