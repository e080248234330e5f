//! An interactive shell whose job is rinit, and whose turn it is at the terminal.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::ops::{Deref, DerefMut};

use libc::pid_t;

use super::pty::{CTRL_C, CTRL_Z, Session, describe, group_of};
use super::{Role, children, command, descendants, is_waiting, probe, program, rinit, state, status_line, wait_until};

/// The shells that a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Dash,
    Zsh,
}

/// Every shell. A test that uses zsh has to say that it requires it.
pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Dash, Shell::Zsh];

impl Shell {
    /// The words that start it for a user.
    pub fn interactive(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["bash", "--norc", "--noprofile", "-i"],
            Self::Dash => &["dash", "-i"],
            // Without its line editor, which redraws what is typed.
            Self::Zsh => &["zsh", "-f", "-i", "-o", "no_zle", "-o", "no_prompt_sp"],
        }
    }

    /// The words that start it for a script.
    pub fn script(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["bash"],
            Self::Dash => &["dash"],
            Self::Zsh => &["zsh", "-f"],
        }
    }

    /// What it says about a job that runs.
    pub fn running(self) -> &'static str {
        match self {
            Self::Bash | Self::Dash => "Running",
            Self::Zsh => "running",
        }
    }

    /// Whether an interactive one has job control: its jobs are suspended, resumed and interrupted.
    pub fn has_job_control(self, session: &mut Session) {
        session.line("echo $((6 * 7))");
        session.expect("42");
        session.prompt();
        session.line("cat");
        session.says("one");
        for word in ["two", "three"] {
            session.press(CTRL_Z);
            session.expect(self.stopped());
            session.prompt();
            session.line("fg");
            session.expect("cat");
            session.says(word);
        }
        session.press(CTRL_C);
        session.prompt();
        session.line("echo code=$?.");
        session.expect("code=130.");
        session.prompt();
    }

    /// What it says about a job that has stopped.
    pub fn stopped(self) -> &'static str {
        match self {
            Self::Bash | Self::Dash => "Stopped",
            Self::Zsh => "suspended",
        }
    }
}

/// Where an interactive shell runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a machine: it leads the session of its terminal.
    Machine,
    /// In a container, as PID 1: rinit is a job and no more.
    ContainerPid1,
    /// In a container whose PID 1 is rinit: the shell is rinit's command.
    ContainerBelowInit,
}

/// Every place.
pub const PLACES: [Place; 3] = [Place::Machine, Place::ContainerPid1, Place::ContainerBelowInit];

/// Every choice of whom rinit forwards to.
pub const SCOPES: [&str; 3] = ["", "-c", "-a"];

/// Whose process group the terminal's foreground is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The interactive shell.
    Shell,
    /// The group that rinit is in: the shell's job.
    Job,
    /// The command that rinit started.
    Command,
    /// Somebody else.
    Other(pid_t),
}

/// A user's shell on a terminal.
pub struct UserShell {
    session: Session,
    /// Which one it is.
    pub shell: Shell,
    /// The shell's pid.
    pub pid: pid_t,
    /// rinit's options.
    pub options: &'static str,
}

/// rinit as a shell's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub rinit: pid_t,
    pub command: pid_t,
}

impl UserShell {
    /// Starts one and waits for its prompt.
    pub fn start(shell: Shell, place: Place) -> Self {
        let words = shell.interactive();
        let mut alone = program(words[0]);
        alone.args(&words[1..]);
        let mut session = match place {
            Place::Machine => Session::start(Role::Subreaper, alone),
            Place::ContainerPid1 => Session::start(Role::Pid1, alone),
            Place::ContainerBelowInit => Session::start(Role::Pid1, command(words)),
        };
        session.prompt();
        let pid = match place {
            Place::ContainerBelowInit => session.leader.main_child(),
            _ => session.leader.pid,
        };
        Self { session, shell, pid, options: "" }
    }

    /// Every shell in every place with every scope.
    pub fn each(mut test: impl FnMut(&mut Self)) {
        for shell in SHELLS {
            for place in PLACES {
                let mut user = Self::start(shell, place);
                for options in SCOPES {
                    // It is shown by a test that fails.
                    println!("{shell:?}, {place:?}, options {options:?}");
                    user.options = options;
                    test(&mut user);
                }
            }
        }
    }

    /// A text in which `INIT` stands for rinit with its options, `PROBE` for the probe, `HOLD` for a command that waits for
    /// a signal, and `SCRIPT` for this shell as an interpreter.
    pub fn fill_in(&self, text: &str) -> String {
        text.replace("SCRIPT", &self.shell.script().join(" "))
            .replace("HOLD", "PROBE hold")
            .replace("PROBE", "$PROBE")
            .replace("INIT", format!("$INIT {}", self.options).trim_end())
    }

    /// Types a line of [`UserShell::fill_in`]'s.
    pub fn enter(&mut self, text: &str) {
        let line = self.fill_in(text);
        self.line(&line);
    }

    /// Types such a line and waits until rinit and all else that it starts runs.
    pub fn enter_job(&mut self, text: &str) -> Job {
        self.enter(text);
        self.job()
    }

    /// The newest job's rinit and its command, once everything that the shell has started runs its own program, and
    /// rinit and the shell have nothing more to do for the start.
    pub fn job(&self) -> Job {
        wait_until("the job to run", || {
            // zsh sleeps at a pipe as well, until a child has begun, before it starts the next one.
            let at_pipe =
                || fs::read_to_string(format!("/proc/{}/wchan", self.pid)).is_ok_and(|at| at.contains("pipe"));
            let sleeps = || state(self.pid) == Some('S') && !at_pipe();
            // A shell that still works may start one more after the others were listed.
            if !sleeps() {
                return None;
            }
            let all = descendants(self.pid);
            let own = fs::read(format!("/proc/{}/cmdline", self.pid)).ok()?;
            let has_started = |pid: &pid_t| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words != own);
            let job = find_job(&all)?;
            let is_settled = |rinit: &pid_t| is_waiting(*rinit) || state(*rinit) == Some('T');
            let settled = all.iter().all(has_started) && rinits(&all).iter().all(is_settled) && sleeps();
            settled.then_some(job)
        })
    }

    /// The same, without any process but rinit and its command being looked at.
    pub fn started_job(&self) -> Job {
        wait_until("rinit and its command to run", || find_job(&descendants(self.pid)))
    }

    /// Whose the foreground is.
    pub fn owner(&self, job: Job) -> Owner {
        let foreground = self.foreground();
        let owners = [(self.pid, Owner::Shell), (job.rinit, Owner::Job), (job.command, Owner::Command)];
        owners
            .into_iter()
            .find(|(pid, _)| group_of(*pid) == foreground)
            .map_or(Owner::Other(foreground), |found| found.1)
    }

    /// Waits until the foreground is one of these's.
    pub fn wait_until_owner(&self, job: Job, expected: &[Owner]) {
        let what = format!("the foreground to be one of {expected:?}, now {:?}", self.owner(job));
        wait_until(&what, || expected.contains(&self.owner(job)).then_some(()));
    }

    /// Whether the shell has the foreground. Once it shows its prompt it has, or it never will.
    pub fn has_foreground(&self) -> bool {
        self.foreground() == group_of(self.pid)
    }

    /// Waits until the shell says that its job has stopped, and asks for the next line.
    pub fn expect_stopped(&mut self) {
        let stopped = self.shell.stopped();
        self.expect(stopped);
        self.prompt();
    }

    /// Has the shell say how its last foreground job ended.
    pub fn expect_code(&mut self, code: i32) {
        self.line("echo code=$?.");
        self.expect(&format!("code={code}."));
        self.prompt();
    }

    /// Waits until a program of this name runs below the shell.
    pub fn wait_until_runs(&self, name: &str) -> pid_t {
        let runs =
            |pid: &pid_t| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
        wait_until(name, || descendants(self.pid).into_iter().find(runs))
    }

    /// Waits until nothing that the shell has started is left.
    pub fn wait_until_alone(&self) {
        wait_until("all of the job to end", || self.is_alone().then_some(()));
    }

    fn is_alone(&self) -> bool {
        descendants(self.pid).iter().all(|pid| matches!(state(*pid), Some('Z') | None))
    }

    /// Ends every probe that the shell has started, and waits until nothing is left. A member of a pipeline may become a
    /// probe long after the others.
    pub fn end_probes(&self) {
        wait_until("the job to end", || {
            for pid in descendants(self.pid).into_iter().filter(is_probe) {
                // SAFETY: numbers only. It may have ended meanwhile.
                unsafe {
                    libc::kill(pid, libc::SIGTERM);
                    libc::kill(pid, libc::SIGCONT);
                }
            }
            self.is_alone().then_some(())
        });
    }
}

impl Deref for UserShell {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for UserShell {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// The processes that run a program in the PID namespace of another one.
pub fn processes_of(program: &OsStr, neighbour: pid_t) -> Vec<pid_t> {
    let binary = fs::canonicalize(program).unwrap();
    let namespace = |pid: pid_t| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let runs = |pid: &pid_t| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == binary);
    all.filter(|pid: &pid_t| runs(pid) && namespace(*pid) == namespace(neighbour)).collect()
}

/// Those of these processes that run rinit.
fn rinits(all: &[pid_t]) -> Vec<pid_t> {
    let binary = fs::canonicalize(rinit()).unwrap();
    let runs = |pid: &pid_t| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == binary);
    all.iter().copied().filter(runs).collect()
}

/// The newest rinit among these that has started its command.
fn find_job(all: &[pid_t]) -> Option<Job> {
    let program = |pid: pid_t| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let binary = fs::canonicalize(rinit()).ok();
    let job = |rinit: pid_t| {
        let command = children(rinit).first().copied()?;
        // What was listed as rinit may have been its child before the exec, and may have children of its own by now.
        (program(rinit) == binary && program(command)? != program(rinit)?).then_some(Job { rinit, command })
    };
    rinits(all).into_iter().rev().find_map(job)
}

fn is_probe(pid: &pid_t) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == fs::canonicalize(probe()).unwrap())
}

/// The probe that rinit runs as its command. strace's own process may be another child of rinit.
pub fn probe_of(rinit: pid_t) -> Option<pid_t> {
    children(rinit).into_iter().find(is_probe)
}

/// Waits until a process is stopped, or is not.
pub fn wait_until_stopped(pid: pid_t, stopped: bool) {
    let what = if stopped { "a process to be stopped" } else { "a process to be continued" };
    wait_until(format_args!("{what}: {pid}\n{}", Family(pid)), || ((state(pid)? == 'T') == stopped).then_some(()));
}

/// Waits until rinit has nothing left to do about a signal.
pub fn wait_until_taken(rinit: pid_t, signal: libc::c_int) {
    wait_until(format_args!("rinit to take signal {signal}:\n{}", Family(rinit)), || {
        (!is_pending(rinit, signal) && is_waiting(rinit)).then_some(())
    });
}

/// A process's parent with all its descendants, for a message: what they are, and where they wait.
struct Family(pid_t);

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wchan = |pid: pid_t| fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        let parent = status_line(self.0, "PPid").and_then(|parent| parent.parse().ok()).unwrap_or(self.0);
        let mut all = [vec![parent], descendants(parent)].concat().into_iter();
        all.try_for_each(|pid| write!(out, "at {:?}: {}", wchan(pid), describe(pid)))
    }
}

/// Whether a signal has been sent to a process that has not taken it yet.
pub fn is_pending(pid: pid_t, signal: libc::c_int) -> bool {
    let pending = ["SigPnd", "ShdPnd"].map(|name| u64::from_str_radix(&status_line(pid, name).unwrap(), 16).unwrap());
    pending.iter().any(|mask| mask >> (signal - 1) & 1 == 1)
}
