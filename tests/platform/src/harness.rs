//! Runs a check in a PID namespace of its own, and rinit in it: as the PID 1 of a further one, or as a process like any
//! other. What a check leaves behind ends with its namespace.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::ptr::null;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libc::pid_t;

use crate::signals::{ignore_none, kill, set_mask};

/// How long a condition may take on a slow machine before a check calls it broken.
const PATIENCE: Duration = Duration::from_secs(100);

/// What rinit is in a check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// PID 1 of a PID namespace.
    Pid1,
    /// A process like any other, that adopts its descendants' orphans.
    Subreaper,
    /// A command that does one thing and ends.
    Tool,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pid1 => "pid1",
            Self::Subreaper => "subreaper",
            Self::Tool => "tool",
        })
    }
}

/// What came of a check.
pub enum Verdict {
    /// It holds.
    Good,
    /// It does not, and why.
    Failed(String),
    /// It was not tried, and why.
    Skipped(String),
}

/// A check's code.
pub type Run = fn(&Context) -> Result<(), String>;

/// What is checked, and by what.
pub struct Suite {
    rinit: Vec<String>,
    own: Vec<String>,
    binary: PathBuf,
    limit: Duration,
    namespace: File,
}

impl Suite {
    /// `runner` comes before rinit and before each command.
    pub fn new(own: &str, rinit: &str, runner: &[&str], limit: Duration) -> Self {
        let with_runner = |program: &str| {
            let program = fs::canonicalize(program).unwrap_or_else(|error| panic!("{program}: {error}"));
            runner.iter().map(|word| (*word).to_owned()).chain([program.to_string_lossy().into_owned()]).collect()
        };
        Self {
            rinit: with_runner(rinit),
            own: with_runner(own),
            binary: fs::canonicalize(rinit).expect("it was there"),
            limit,
            namespace: File::open("/proc/self/ns/pid").expect("/proc of a kernel with PID namespaces"),
        }
    }

    /// Runs a check; answers what came of it and the seconds that it took.
    pub fn run(&self, role: Role, run: Run) -> (Verdict, f64) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("platform-checks-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("room for a directory");
        let start = Instant::now();
        let verdict = self.in_own_namespace(|| {
            let context = Context { suite: self, role, folder: folder.clone() };
            match run(&context) {
                Ok(()) => String::new(),
                Err(why) => why,
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        let _ = fs::remove_dir_all(folder);
        (verdict, seconds)
    }

    /// Runs this in a process that is PID 1 of a new PID namespace. An empty answer is a good one.
    fn in_own_namespace(&self, run: impl FnOnce() -> String) -> Verdict {
        let (mut reader, mut writer) = pipe();
        // SAFETY: this program has one thread.
        let child = self.with_new_pid_namespace(|| unsafe { libc::fork() });
        assert!(child >= 0, "cannot fork: {}", io::Error::last_os_error());
        if child == 0 {
            let started = start_anew().and_then(|()| mount_own_proc());
            let answer = started.map_or_else(|error| format!("cannot begin: {error}"), |()| run());
            let _ = writer.write_all(answer.as_bytes());
            // SAFETY: ends this process and its namespace without its clean-up.
            unsafe { libc::_exit(0) }
        }
        drop(writer);
        let start = Instant::now();
        let mut status = 0;
        let mut killed = false;
        // SAFETY: a child of this process, and a live int.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            if start.elapsed() > self.limit && !killed {
                let _ = kill(child, libc::SIGKILL);
                killed = true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let mut answer = String::new();
        let _ = reader.read_to_string(&mut answer);
        match (status, answer.is_empty()) {
            _ if killed => Verdict::Failed(format!("not done after {} s", self.limit.as_secs())),
            (0, true) => Verdict::Good,
            (0, false) => Verdict::Failed(answer),
            _ => Verdict::Failed(format!("the check itself ended with wait status {status:#x}")),
        }
    }

    /// Has what is started meanwhile begin in a new PID namespace, as its PID 1.
    fn with_new_pid_namespace<T>(&self, start: impl FnOnce() -> T) -> T {
        // The namespace of this process's children is this process's own, before and after.
        let namespace =
            if std::process::id() == 1 { &File::open("/proc/self/ns/pid").expect("/proc") } else { &self.namespace };
        // SAFETY: changes where children begin, no more.
        let result = unsafe { libc::unshare(libc::CLONE_NEWPID) };
        assert_eq!(result, 0, "no new PID namespace, which takes root: {}", io::Error::last_os_error());
        let started = start();
        // SAFETY: an open descriptor. The child that began in the new namespace comes by here too, and changes nothing.
        unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) };
        started
    }
}

/// A pipe whose ends no program inherits.
fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: two new descriptors, which nobody else owns.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0, "no pipe");
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

/// No signal ignored or blocked, whatever the starter of the checks has.
fn start_anew() -> io::Result<()> {
    ignore_none();
    set_mask(0);
    Ok(())
}

/// A /proc that shows the PID namespace of this process.
fn mount_own_proc() -> io::Result<()> {
    let mount = |name: *const c_char, path: &CStr, kind: *const c_char, flags| {
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

/// Where a check runs.
pub struct Context<'a> {
    suite: &'a Suite,
    /// What rinit is there.
    pub role: Role,
    folder: PathBuf,
}

impl Context<'_> {
    /// The name of a file of this check.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The file that has the binary under test.
    pub fn binary(&self) -> &PathBuf {
        &self.suite.binary
    }

    /// The words that start one of this program's own duties.
    pub fn duty(&self, words: &[&str]) -> Vec<String> {
        [&self.suite.own[..], &["do".to_owned()], &owned(words)].concat()
    }

    /// The words that start rinit with options and a command.
    pub fn rinit(&self, options: &[&str], command: &[String]) -> Vec<String> {
        [&self.suite.rinit[..], &owned(options), command].concat()
    }

    /// The words that start a copy of rinit.
    pub fn copy_of_rinit(&self, copy: &str, options: &[&str]) -> Vec<String> {
        let runner = &self.suite.rinit[..self.suite.rinit.len() - 1];
        [runner, &[copy.to_owned()], &owned(options)].concat()
    }

    /// Starts rinit with options and one of this program's duties.
    pub fn start(&self, options: &[&str], duty: &[&str]) -> Result<Running, String> {
        self.start_words(&self.rinit(options, &self.duty(duty)), |command| command)
    }

    /// Starts any program in the role, with what `configure` adds.
    pub fn start_words(
        &self,
        words: &[String],
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Running, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) = (self.file(&format!("stdout-{number}")), self.file(&format!("stderr-{number}")));
        let create = |path: &str| File::create(path).map_err(|error| format!("{path}: {error}"));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear();
        command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
        // What has something to do before its exec is started by fork(2). posix_spawn(3) would ignore the signals that
        // the C library keeps.
        let prepare = if self.role == Role::Pid1 { mount_own_proc } else { || Ok(()) };
        // SAFETY: system calls only, which is what a forked child may do.
        unsafe { command.pre_exec(prepare) };
        configure(&mut command);
        let child = match self.role {
            Role::Pid1 => self.suite.with_new_pid_namespace(|| command.spawn()),
            Role::Subreaper | Role::Tool => command.spawn(),
        };
        let child = child.map_err(|error| format!("cannot start {}: {error}", words[0]))?;
        let pid = pid_t::try_from(child.id()).map_err(|error| error.to_string())?;
        Ok(Running { pid, child, stdout, stderr })
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A program that was started. It ends when this is dropped.
pub struct Running {
    /// Its pid, as this process sees it.
    pub pid: pid_t,
    child: Child,
    stdout: String,
    stderr: String,
}

impl Running {
    /// Sends it a signal.
    pub fn kill(&self, signal: c_int) -> Result<(), String> {
        kill(self.pid, signal)
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> Result<bool, String> {
        self.child.try_wait().map(|status| status.is_none()).map_err(|error| error.to_string())
    }

    /// Its exit code, as soon as it has ended.
    pub fn exit_code(&mut self) -> Result<i32, String> {
        let status = wait_until("the program to end", || self.child.try_wait().ok().flatten())
            .map_err(|why| format!("{why}; stderr: {}", self.stderr()))?;
        status.code().ok_or_else(|| format!("killed by signal {:?}; stderr: {}", status.signal(), self.stderr()))
    }

    /// Fails unless it exits with this code.
    pub fn exits_with(&mut self, expected: i32) -> Result<(), String> {
        match self.exit_code()? {
            code if code == expected => Ok(()),
            code => Err(format!("exit code {code}, not {expected}; stderr: {}", self.stderr())),
        }
    }

    /// What was written to its stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What was written to its stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its oldest child, as soon as there is one.
    pub fn main_child(&self) -> Result<pid_t, String> {
        wait_until("the main child", || children(self.pid).first().copied())
    }

    /// Waits until no signal can be lost any more: it blocks them, waits for them, or has ended.
    pub fn wait_until_it_takes_signals(&mut self) -> Result<(), String> {
        wait_until("rinit to block signals", || {
            let blocked = status_line(self.pid, "SigBlk").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
            let blocks = blocked.is_some_and(|mask| mask >> (libc::SIGTERM - 1) & 1 == 1);
            // The kernel shows none as blocked while a process waits for them: sigtimedwait(2).
            let waits = || read(&format!("/proc/{}/wchan", self.pid)).contains("sigtimedwait");
            (blocks || waits() || state(self.pid) == Some('Z')).then_some(())
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a file; nothing if there is no such file.
pub fn read(file: &str) -> String {
    fs::read(file).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for a condition. The short sleep only keeps the wait from burning a processor.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T, String> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = condition() {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(format!("waited in vain for {what}"))
}

/// Waits until a file is there.
pub fn wait_for_file(file: &str) -> Result<(), String> {
    wait_until(&format!("{file} to be written"), || fs::exists(file).unwrap_or(false).then_some(()))
}

/// Waits until a recorder takes signals.
pub fn wait_until_ready(file: &str) -> Result<(), String> {
    wait_until(&format!("{file} to be ready"), || read(file).starts_with("ready\n").then_some(()))
}

/// What a recorder has written after its first line.
pub fn recorded(file: &str) -> Vec<String> {
    read(file).lines().skip(1).map(str::to_owned).collect()
}

/// Waits until a recorder has got just these.
pub fn wait_until_recorded(file: &str, expected: &[String]) -> Result<(), String> {
    wait_until("signals", || (recorded(file) == expected).then_some(()))
        .map_err(|_| format!("expected {expected:?}, got {:?}", recorded(file)))
}

/// The children of a process, zombies included, the oldest first.
pub fn children(pid: pid_t) -> Vec<pid_t> {
    let list = read(&format!("/proc/{pid}/task/{pid}/children"));
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The state of a process, one letter.
pub fn state(pid: pid_t) -> Option<char> {
    read(&format!("/proc/{pid}/stat")).rsplit_once(") ")?.1.chars().next()
}

/// A line of `/proc/PID/status`.
pub fn status_line(pid: pid_t, name: &str) -> Option<String> {
    proc_line(pid, "status", name)
}

/// A line of a file in `/proc/PID`, by its name.
pub fn proc_line(pid: pid_t, file: &str, name: &str) -> Option<String> {
    let text = read(&format!("/proc/{pid}/{file}"));
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The descriptors that a process holds.
pub fn open_descriptors(pid: pid_t) -> Vec<c_int> {
    let list = fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut numbers: Vec<c_int> =
        list.into_iter().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Has a command begin as the leader of a session on this terminal, which is its stdin, stdout and stderr.
pub fn on_terminal(command: &mut Command, terminal: OwnedFd) -> &mut Command {
    let copy = |fd: &OwnedFd| fd.try_clone().expect("room for a descriptor");
    command.stdin(copy(&terminal)).stdout(copy(&terminal)).stderr(terminal);
    // SAFETY: system calls only.
    unsafe { command.pre_exec(crate::pty::lead_session) }
}
