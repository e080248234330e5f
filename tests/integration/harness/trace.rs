//! rinit under strace, from its exec on, wherever it runs: as PID 1, as subreaper, as a job of a shell.
//!
//! strace(1) sits outside rinit's namespace and follows rinit alone, so that neither is the other's parent or child,
//! and the command is not touched.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use libc::pid_t;

use super::{Role, Running, TempDir, children, kill, probe, program, rinit, run_to_end, status_line, wait_until};

/// rinit, not started yet: a process that becomes it on [`HeldProcess::traced`].
pub struct HeldProcess {
    pub running: Running,
    /// The pid that rinit will have, as this process sees it.
    pub pid: pid_t,
}

impl HeldProcess {
    /// rinit with these words, its stdout and stderr captured. `configure` adds to the command that is started.
    pub fn new(role: Role, words: &[&str], configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = program(probe());
        configure(command.arg("held").arg(rinit()).args(words));
        let running = Running::spawn_captured(role, &mut command);
        let pid = running.pid;
        Self::when_ready(running, pid)
    }

    /// The same as the one job of a shell with job control.
    pub fn as_job(words: &[&str], configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = program(probe());
        configure(command.args(["job", &probe(), "held"]).arg(rinit()).args(words));
        let running = Running::spawn_captured(Role::Subreaper, &mut command);
        let pid = wait_until("the job", || children(running.pid).first().copied());
        Self::when_ready(running, pid)
    }

    fn when_ready(running: Running, pid: pid_t) -> Self {
        wait_until("the held process", || {
            let caught = u64::from_str_radix(&status_line(pid, "SigCgt")?, 16).ok()?;
            (caught >> (libc::SIGUSR1 - 1) & 1 == 1).then_some(())
        });
        Self { running, pid }
    }

    /// Lets it become rinit, under strace with these options.
    pub fn traced(self, options: &[&str]) -> TracedProcess {
        let temp = TempDir::new();
        let file = temp.file("trace");
        let mut strace = Command::new("strace");
        strace.args(["-o", &file]).args(options).args(["-p", &self.pid.to_string()]);
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let strace = super::spawn(&mut strace);
        let pid = self.pid;
        let traced = TracedProcess { running: self.running, pid, strace, file, _temp: temp };
        wait_until("strace to attach", || status_line(pid, "TracerPid").filter(|tracer| tracer != "0").map(drop));
        kill(pid, libc::SIGUSR1);
        traced
    }
}

/// rinit, running under strace.
pub struct TracedProcess {
    pub running: Running,
    /// rinit's pid, as this process sees it.
    pub pid: pid_t,
    strace: Child,
    file: String,
    _temp: TempDir,
}

impl TracedProcess {
    /// The names of the calls so far, from the process's first on: the one that held it comes before rinit's.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read(&self.file).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().filter_map(name_of_call).map(str::to_owned).collect()
    }

    /// What strace wrote, whole: once rinit has ended.
    pub fn trace(&mut self) -> String {
        self.strace.wait().unwrap();
        String::from_utf8_lossy(&fs::read(&self.file).unwrap()).into_owned()
    }
}

impl Drop for TracedProcess {
    fn drop(&mut self) {
        self.running.end();
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// The call that a line of a trace is about; none, where it is about a signal or the end.
pub fn name_of_call(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}

/// The place after the call that starts the command.
pub fn start_of_command(calls: &[String]) -> usize {
    let is_start = |call: &String| ["clone", "clone3", "fork", "vfork"].contains(&call.as_str());
    calls.iter().position(is_start).unwrap() + 1
}

/// Has the command write its messages there, whatever its stderr was to be.
pub fn with_stderr(command: &mut Command, stderr: OwnedFd) -> &mut Command {
    // SAFETY: a system call only.
    unsafe {
        command.pre_exec(move || match libc::dup2(stderr.as_raw_fd(), libc::STDERR_FILENO) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    }
}

/// Has the command lead a session with this terminal, which is its stdin and stderr.
pub fn with_terminal(command: &mut Command, terminal: OwnedFd) -> &mut Command {
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(move || {
            let fd = terminal.as_raw_fd();
            let results = [libc::setsid(), libc::ioctl(fd, libc::TIOCSCTTY, 0), libc::dup2(fd, 0), libc::dup2(fd, 2)];
            if results.contains(&-1) { Err(io::Error::last_os_error()) } else { Ok(()) }
        })
    }
}

/// Has the command begin with these signals blocked.
pub fn with_blocked<'a>(command: &'a mut Command, signals: &[libc::c_int]) -> &'a mut Command {
    let mask = signals.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    // SAFETY: a system call only, which reads eight bytes: the kernel's own mask has that size.
    unsafe {
        command.pre_exec(move || {
            let null = std::ptr::null_mut::<u64>();
            match libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, null, 8) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    }
}

/// Has the command run with this limit, soft and hard: setrlimit(2).
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, value: libc::rlim_t) -> &mut Command {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: a system call only.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    }
}

/// Runs rinit under strace to its end and answers what strace wrote of rinit's own process.
pub fn traced<W: AsRef<OsStr>>(words: &[W], options: &[&str]) -> String {
    let temp = TempDir::new();
    let output = temp.file("trace");
    let mut command = program("strace");
    command.args(["-o", &output]).args(options).arg(rinit()).args(words);
    let outcome = run_to_end(Role::Subreaper, &mut command);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    fs::read_to_string(output).unwrap()
}
