//! Starts the real binary as PID 1 of a real PID namespace, or as a process like any other, and watches it from
//! outside.
//!
//! Every run is in a PID namespace of its own, which ends with the test: whatever a command leaves behind, and
//! whatever goes wrong, nothing stays on the machine. That takes root, or `unshare --user --map-root-user cargo test`.

pub mod trace;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr::null;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libc::{c_char, c_int, pid_t};

pub mod interactive;
pub mod pty;

/// How long a condition may take on a slow machine before a test calls it broken.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn rinit() -> OsString {
    std::env::var_os("RINIT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_rinit").into())
}

/// The program that runs below it: `tests/probe`.
pub fn probe() -> String {
    // target/PROFILE/deps/TEST-HASH, and the examples beside deps.
    let test = std::env::current_exe().unwrap();
    let probe = test.ancestors().nth(2).unwrap().join("examples/probe");
    assert!(probe.exists(), "{probe:?} is not built: run `cargo build --example probe`");
    probe.into_os_string().into_string().unwrap()
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

fn spawn(command: &mut Command) -> Child {
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
        let (stdout, stderr) = (scratch(), scratch());
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
        read(self.stdout.as_ref().expect("captured"))
    }

    /// What they have written so far to a captured stderr.
    pub fn stderr(&self) -> String {
        read(self.stderr.as_ref().expect("captured"))
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

/// A file in memory, without a name. (Not a pipe: somebody would have to read it, and to know when to stop.)
fn scratch() -> File {
    // SAFETY: a new descriptor, which nobody else owns.
    let descriptor = unsafe {
        let descriptor = libc::memfd_create(c"captured".as_ptr(), libc::MFD_CLOEXEC);
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(descriptor)
    };
    File::from(descriptor)
}

/// All that is in it, without moving the place where the next write goes.
fn read(file: &File) -> String {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
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

/// Waits for a condition. The short sleep only keeps the wait from burning a processor.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < TIMEOUT, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to any process.
pub fn kill(pid: pid_t, signal: c_int) {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "cannot send {signal} to {pid}");
}

/// Queues a real-time or other signal that many times, with values from 0 up.
pub fn queue(pid: pid_t, signal: c_int, count: usize) {
    for value in 0..count {
        queue_one(pid, signal, value);
    }
}

/// Queues a signal once, with a value.
pub fn queue_one(pid: pid_t, signal: c_int, value: usize) {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    // SAFETY: numbers only; nobody looks behind the value.
    assert_eq!(unsafe { libc::sigqueue(pid, signal, value) }, 0, "cannot queue {signal} to {pid}");
}

/// For a program that enters the PID namespace of this process from outside, as `docker exec` and the containers of a pod
/// do: its parent, nsenter(1), stays out there.
pub fn in_pid_namespace_of(pid: pid_t) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--pid=/proc/{pid}/ns/pid"));
    command
}

/// Waits until a process that a runtime has started is rinit: it may still be the runtime's own, on its way to it.
pub fn wait_until_rinit(pid: pid_t) {
    let binary = fs::read(rinit()).unwrap();
    wait_until("the runtime to become rinit", || (fs::read(format!("/proc/{pid}/exe")).ok()? == binary).then_some(()));
}

/// The children of a process, zombies included, the oldest first.
pub fn children(pid: pid_t) -> Vec<pid_t> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// The zombies among the children of a process.
pub fn count_zombies(pid: pid_t) -> usize {
    children(pid).into_iter().filter(|child| state(*child) == Some('Z')).count()
}

/// The state of a process, one letter.
pub fn state(pid: pid_t) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process waits for a signal by sigtimedwait(2).
pub fn is_waiting(pid: pid_t) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|role| role.contains("sigtimedwait"))
}

/// A line of `/proc/PID/status`.
pub fn status_line(pid: pid_t, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// A directory that goes away with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rinit-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        // For tests that change user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The name of a file in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    /// A copy of a file in it; answers its name. (For users who cannot get to where the file is, and other roots.)
    pub fn copy(&self, path: impl AsRef<Path>, name: &str) -> String {
        let copy = self.file(name);
        fs::copy(path, &copy).unwrap();
        copy
    }

    /// A new file in it; answers its name.
    pub fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a recording probe wrote after its first line.
pub fn recorded_signals(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with("ready")).map(str::to_owned).collect()
}

/// A recording probe's pid, as this process sees it: the namespace's own is what it wrote.
pub fn pid_of(file: &str) -> pid_t {
    let text = fs::read_to_string(file).unwrap();
    let own = text.lines().rev().find_map(|line| line.strip_prefix("ready ")).unwrap();
    let is_probe = |pid: &pid_t| {
        let line = status_line(*pid, "NSpid").unwrap_or_default();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split_ascii_whitespace().next_back() == Some(own)
            && command.split(|byte| *byte == 0).any(|word| word == file.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.into_iter().find(is_probe).unwrap()
}

/// Waits until a recording probe takes signals.
pub fn wait_until_ready(file: &str) {
    wait_until("the probe to record", || fs::read_to_string(file).ok().filter(|text| text.contains("ready")).map(drop));
}

/// Waits until a recording probe has got just these.
pub fn wait_until_recorded(file: &str, expected: &[&str]) {
    let start = Instant::now();
    while recorded_signals(file) != expected {
        assert!(start.elapsed() < TIMEOUT, "waited in vain for {expected:?}, got {:?}", recorded_signals(file));
        thread::sleep(Duration::from_millis(2));
    }
}

/// Every signal that is forwarded.
pub fn forwarded_signals() -> impl Iterator<Item = c_int> {
    (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(number))
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

/// The descriptors that a process holds.
pub fn open_descriptors(pid: pid_t) -> Vec<u32> {
    let list = fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut numbers: Vec<u32> =
        list.into_iter().map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// Reads a pipe until nobody holds its other end.
pub fn read_to_end(pipe: &mut (impl io::Read + std::os::fd::AsRawFd)) -> Vec<u8> {
    // SAFETY: this side's description is this process's alone.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let mut all = Vec::new();
    wait_until("end-of-file", || {
        let mut part = [0; 4096];
        match pipe.read(&mut part) {
            Ok(0) => return Some(()),
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        None
    });
    all
}

pub mod containerd;
pub mod engine;
pub mod podman;
