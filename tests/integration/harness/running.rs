//! Starts rinit as PID 1 of a real PID namespace, or as a process like any other, and watches it from outside.
//!
//! Every run is in a PID namespace of its own, which ends with the test: whatever a command leaves behind, and whatever
//! goes wrong, nothing stays on the machine.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr::null;
use std::sync::OnceLock;
use std::thread;

use libc::{c_char, c_int, pid_t};

use super::processes::{children, is_waiting, kill, status_line};
use super::scratch::{scratch_file, scratch_text};
use super::wait::wait_until;

/// A build of rinit that this test runs in place of the usual one.
static OTHER_BUILD: OnceLock<OsString> = OnceLock::new();

/// Has all that follows in this test run another build of rinit.
pub fn use_build(binary: OsString) {
    OTHER_BUILD.set(binary).expect("one build for a test");
}

/// The binary under test.
pub fn rinit() -> OsString {
    let usual = || std::env::var_os("RINIT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_rinit").into());
    OTHER_BUILD.get().cloned().unwrap_or_else(usual)
}

/// The program that runs below rinit: `tests/probe`.
pub fn probe() -> String {
    env!("CARGO_BIN_EXE_probe").to_owned()
}

/// Where rinit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As PID 1 of a PID namespace of its own.
    Pid1,
    /// As a process like any other, in a namespace that has another PID 1: a subreaper.
    Subreaper,
}

/// For what must hold in either.
pub const BOTH_ROLES: [Role; 2] = [Role::Pid1, Role::Subreaper];

/// rinit with these arguments, as a command to add to. [`Running::spawn`] or [`run_to_end`] start it.
pub fn command<W: AsRef<OsStr>>(words: &[W]) -> Command {
    let mut command = program(rinit());
    command.args(words);
    command
}

/// Options and what follows them, as one list of words.
pub fn words(options: &[&str], command: &[&str]) -> Vec<String> {
    options.iter().chain(command).map(|word| (*word).to_owned()).collect()
}

/// Any program, to be started like rinit: with a /proc of the namespace's own and no variable of rinit's.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINIT_")) {
        command.env_remove(name);
    }
    // SAFETY: system calls only, which is what a forked child of a program with threads may do.
    unsafe { command.pre_exec(mount_own_proc).pre_exec(ignore_nothing) };
    command
}

/// Whoever starts the tests may ignore signals: nohup(1), a shell in the background. What they start shall not.
fn ignore_nothing() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: the default action runs no code. SIGKILL, SIGSTOP and the C library's own two are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

fn mount_own_proc() -> io::Result<()> {
    let mount = |name: *const c_char, path: &std::ffi::CStr, kind: *const c_char, flags| {
        // SAFETY: C strings, or null where mount(2) does not look at them.
        match unsafe { libc::mount(name, path.as_ptr(), kind, flags, null()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: changes this process alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(null(), c"/", null(), libc::MS_REC | libc::MS_PRIVATE)?;
    let proc = c"proc".as_ptr();
    mount(proc, c"/proc", proc, libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}

/// Starts a command in a PID namespace of its own: as its PID 1, or beside one, which comes back too.
fn start_in_namespace(role: Role, command: &mut Command) -> (Child, Option<Child>) {
    // unshare(2) with CLONE_NEWPID holds for the children of one thread, from then on: so one thread a namespace.
    let start = || {
        // SAFETY: changes this thread alone.
        let result = unsafe { libc::unshare(libc::CLONE_NEWPID) };
        assert_eq!(result, 0, "these tests take root, or `unshare --user --map-root-user cargo test`");
        let keeper = (role == Role::Subreaper).then(|| spawn(program(probe()).arg("keep")));
        (spawn(command), keeper)
    };
    thread::scope(|scope| scope.spawn(start).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub fn spawn(command: &mut Command) -> Child {
    // A machine that is short of processes may have some in a moment.
    wait_until("a process to be started", || match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        result => Some(result.unwrap_or_else(|error| panic!("{command:?}: {error}"))),
    })
}

/// rinit, running. It ends, with all that is below it, when this is dropped.
pub struct Running {
    /// What std knows of it: its pipes, where it was given some.
    pub child: Child,
    /// Its pid, as this process sees it.
    pub pid: pid_t,
    keeper: Option<Child>,
    ended: Option<ExitStatus>,
    stdout: Option<File>,
    stderr: Option<File>,
}

impl Running {
    /// Starts it, with what `configure` adds, and waits until no signal can be lost any more.
    pub fn start<W: AsRef<OsStr>>(
        role: Role,
        words: &[W],
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = command(words);
        command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        configure(&mut command);
        let mut running = Self::spawn(role, &mut command);
        running.wait_until_signals_are_blocked();
        running
    }

    /// Starts a command of [`program`]'s, which is rinit or becomes it.
    pub fn spawn(role: Role, command: &mut Command) -> Self {
        let (child, keeper) = start_in_namespace(role, command);
        let pid = child.id() as pid_t;
        Self { child, pid, keeper, ended: None, stdout: None, stderr: None }
    }

    /// The same, with stdout and stderr kept for [`Running::stdout`] and [`Running::stderr`].
    pub fn spawn_captured(role: Role, command: &mut Command) -> Self {
        let (stdout, stderr) = (scratch_file(), scratch_file());
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let mut running = Self::spawn(role, command);
        (running.stdout, running.stderr) = (Some(stdout), Some(stderr));
        running
    }

    /// Waits until it blocks signals, so that they wait for it, or has ended. That is its first system call, but
    /// before it the kernel has the last word: it drops what is sent to PID 1, and kills any other process.
    pub fn wait_until_signals_are_blocked(&mut self) {
        wait_until("rinit to block signals", || {
            let blocked = || u64::from_str_radix(&status_line(self.pid, "SigBlk")?, 16).ok();
            let blocks = blocked().is_some_and(|mask| mask >> (libc::SIGTERM - 1) & 1 == 1);
            // The kernel shows none as blocked while it waits for them: sigtimedwait(2).
            (blocks || is_waiting(self.pid) || !self.is_running()).then_some(())
        });
    }

    /// The main child's pid, as this process sees it, once its program runs.
    pub fn main_child(&self) -> pid_t {
        let program = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
        wait_until("the main child", || {
            let child = *children(self.pid).first()?;
            (program(child)? != program(self.pid)?).then_some(child)
        })
    }

    /// Sends rinit a signal.
    pub fn kill(&self, signal: c_int) {
        kill(self.pid, signal);
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended.is_none()
    }

    /// How it ended, when it has.
    pub fn status(&mut self) -> ExitStatus {
        wait_until("rinit to end", || if self.is_running() { None } else { self.ended })
    }

    /// Its exit code, when it has ended.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.status();
        status.code().unwrap_or_else(|| panic!("rinit was killed by signal {:?}", status.signal()))
    }

    /// What it and its command have written so far to a captured stdout.
    pub fn stdout(&self) -> String {
        scratch_text(self.stdout.as_ref().expect("captured"))
    }

    /// What they have written so far to a captured stderr.
    pub fn stderr(&self) -> String {
        scratch_text(self.stderr.as_ref().expect("captured"))
    }
}

impl Running {
    /// Ends it, with all that is below it.
    pub fn end(&mut self) {
        // The end of its PID 1 is the end of the namespace: pid_namespaces(7). PID 1 is gone when all others have been
        // waited for, so it comes last.
        if let Some(keeper) = &mut self.keeper {
            let _ = keeper.kill();
        }
        if self.ended.is_none() {
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
        if let Some(keeper) = &mut self.keeper {
            let _ = keeper.wait();
        }
        self.keeper = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a run that ended by itself gave.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs rinit to its end.
pub fn run<W: AsRef<OsStr>>(role: Role, words: &[W]) -> Outcome {
    run_with(role, words, |command| command)
}

/// Runs rinit to its end, with what `configure` adds.
pub fn run_with<W: AsRef<OsStr>>(
    role: Role,
    words: &[W],
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> Outcome {
    let mut command = command(words);
    configure(&mut command);
    run_to_end(role, &mut command)
}

/// Runs a command of [`program`]'s to its end.
pub fn run_to_end(role: Role, command: &mut Command) -> Outcome {
    let mut running = Running::spawn_captured(role, command);
    Outcome { code: running.exit_code(), stdout: running.stdout(), stderr: running.stderr() }
}
