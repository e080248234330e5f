//! Whatever a system call answers, rinit lives on: every call that it makes is made to fail, by strace(1).
//!
//! Which calls those are is read off a trace of the same run without faults, so a new one joins by itself. That trace
//! is split where the command has been started: from there on nothing may end rinit but the command's own end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::trace::{HeldProcess, limit, name_of_call, start_of_command, with_stderr, with_terminal};
use crate::harness::{Deadline, Role, TempDir, in_pid_namespace_of, probe, wait_until};

tests! {
    requires [Namespaces];
    no_fault_ends_pid_1_at_its_work requires [Program("strace")],
    no_fault_ends_a_subreaper_at_its_work requires [Program("strace")],
    no_fault_ends_a_subreaper_that_signals_every_descendant requires [Program("strace")],
    no_fault_ends_a_job_that_is_stopped_and_continued requires [Program("strace")],
    no_fault_ends_pid_1_that_has_a_terminal requires [Program("strace")],
}

const ERRNOS: [&str; 7] = ["EINTR", "EAGAIN", "ENOMEM", "EPERM", "EINVAL", "EIO", "ECHILD"];

/// The exit code of the probe's main child: what rinit has to exit with.
const CODE: i32 = 7;

/// More calls than that beyond those of the run without faults is spinning.
const ADDITIONAL_CALLS: usize = 2_000;

/// Calls of the C library's own start-up without which it aborts. Not tried as PID 1: that does not die of an abort
/// as long as it is traced, force_sig_info_to_task() in the kernel.
const C_LIBRARYS: [&str; 2] = ["brk", "arch_prctl"];

/// Runs at a time: they mostly wait.
const WORKERS: usize = 6;

/// What rinit has to do while its calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Orphans, signals, a grace period, also for one that entered from outside, as PID 1; messages to a file.
    WorkAsPid1,
    /// The same as subreaper; messages to a pipe.
    WorkAsSubreaper,
    /// The same, with signals to every descendant.
    AllAsSubreaper,
    /// Stops and continues as a shell's job; messages to its terminal.
    Job,
    /// Stops and continues as PID 1 with a terminal; messages to a socket.
    TerminalAsPid1,
}

impl Scenario {
    pub const ALL: [Self; 5] =
        [Self::WorkAsPid1, Self::WorkAsSubreaper, Self::AllAsSubreaper, Self::Job, Self::TerminalAsPid1];

    /// rinit, about to start, what has to stay open as long as it runs, and who entered its namespace.
    fn held(self, temp: &TempDir) -> (HeldProcess, Vec<OwnedFd>, Option<Child>) {
        let (file, entered) = (&temp.file("done"), &temp.file("entered"));
        let probe = probe();
        let work = ["-w", "--grace", "0.3", &probe, "exercise", file];
        let loud_work = [&["-vv"], &work[..]].concat();
        let stop = ["-vv", &probe, "exercise-terminal"];
        match self {
            Self::WorkAsPid1 => {
                let held = HeldProcess::new(Role::Pid1, &loud_work, with_few_descriptors);
                // Ends after the others, so that rinit has to watch it.
                let stranger = in_pid_namespace_of(held.pid).args([&probe, "flush", entered, "50"]).spawn().unwrap();
                wait_until("it to have entered", || fs::exists(entered).unwrap().then_some(()));
                (held, vec![], Some(stranger))
            }
            Self::WorkAsSubreaper | Self::AllAsSubreaper => {
                let all = if self == Self::AllAsSubreaper { &["--all"][..] } else { &[] };
                let (reader, writer) = nix::unistd::pipe().unwrap();
                let held = HeldProcess::new(Role::Subreaper, &[all, &work].concat(), |command| {
                    with_stderr(with_few_descriptors(command), writer)
                });
                (held, vec![reader], None)
            }
            Self::Job => {
                let pty = nix::pty::openpty(None, None).unwrap();
                let held =
                    HeldProcess::as_job(&stop, |command| with_terminal(with_few_descriptors(command), pty.slave));
                (held, vec![pty.master], None)
            }
            Self::TerminalAsPid1 => {
                let pty = nix::pty::openpty(None, None).unwrap();
                let (reader, writer) = UnixDatagram::pair().unwrap();
                let held = HeldProcess::new(Role::Pid1, &stop, |command| {
                    with_stderr(with_terminal(with_few_descriptors(command), pty.slave), writer.into())
                });
                (held, vec![pty.master, reader.into()], None)
            }
        }
    }
}

/// Without close_range(2) rinit closes descriptors one by one, up to the limit: that is no spinning.
fn with_few_descriptors(command: &mut Command) -> &mut Command {
    limit(command, libc::RLIMIT_NOFILE, 64)
}

/// Which of a call's occurrences fail, counted from 1, and how that is called in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct When {
    name: &'static str,
    first: usize,
    last: Option<usize>,
}

/// A call that fails, and so much of its occurrences.
struct Fault {
    call: String,
    errno: &'static str,
    when: When,
    /// Before the command has been started rinit may give up.
    is_before: bool,
}

impl Fault {
    fn option(&self) -> String {
        let When { first, last, .. } = self.when;
        let range = last.map_or_else(|| format!("{first}+"), |last| format!("{first}..{last}"));
        format!("inject={}:error={}:when={range}", self.call, self.errno)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.call, self.errno, self.when.name)
    }
}

/// What came of a run.
struct Outcome {
    /// None: it hung.
    code: Option<i32>,
    calls: Vec<String>,
    injected: usize,
    /// What rinit wrote.
    stderr: String,
    trace: String,
}

impl Outcome {
    /// For the table: `-` where the call did not come up at all.
    fn word(&self) -> String {
        match self.code {
            None => "hangs".into(),
            Some(_) if self.injected == 0 => "-".into(),
            Some(CODE) => "ok".into(),
            Some(code) => code.to_string(),
        }
    }

    /// For a person who looks into it: the end of the trace, and what rinit wrote.
    fn report(&self) -> String {
        let lines: Vec<&str> = self.trace.lines().collect();
        format!("{}\nstderr: {}", lines[lines.len().saturating_sub(12)..].join("\n"), self.stderr)
    }

    /// What is wrong about it.
    fn complaint(&self, fault: &Fault, usual: usize) -> Option<&'static str> {
        let said_why = || self.stderr.contains("rinit[") && self.stderr.contains("]: error: ");
        match self.code {
            None => Some("hangs"),
            Some(_) if self.calls.len() > usual + ADDITIONAL_CALLS => Some("spins"),
            Some(CODE) => None,
            Some(125) if fault.is_before && said_why() => None,
            Some(_) if fault.is_before && C_LIBRARYS.contains(&fault.call.as_str()) => None,
            Some(_) if fault.is_before => Some("has neither the command's exit code nor 125 and a message"),
            Some(_) => Some("has not the command's exit code"),
        }
    }
}

/// What can be read from it now.
fn what_came(descriptor: &OwnedFd) -> String {
    nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    let mut room = [0; 65_536];
    let length = nix::unistd::read(descriptor, &mut room).unwrap_or(0);
    String::from_utf8_lossy(&room[..length]).into_owned()
}

/// rinit's run, with these options for strace, to its end.
fn run(scenario: Scenario, options: &[&str]) -> Outcome {
    let temp = TempDir::new();
    let (held, open, mut entered) = scenario.held(&temp);
    let mut traced = held.traced(options);
    // A run that is not over by then hangs. None takes a second on a machine that has time.
    let mut deadline = Deadline::new();
    while traced.running.is_running() && deadline.allows_another_look() {}
    let code = (!traced.running.is_running()).then(|| traced.running.status().code().unwrap_or(-1));
    traced.running.end();
    if let Some(entered) = &mut entered {
        let _ = entered.wait();
    }
    let trace = traced.trace();
    let stderr = traced.running.stderr() + &open.iter().map(what_came).collect::<String>();
    let calls = trace.lines().filter_map(name_of_call).map(str::to_owned).collect();
    Outcome { code, calls, injected: trace.matches("(INJECTED)").count(), stderr, trace }
}

/// Every fault to be tried, read off a run without any.
fn faults(calls: &[String], is_pid_1: bool) -> Vec<Fault> {
    let own = calls.iter().position(|call| call == "execve").unwrap() + 1;
    let start = start_of_command(calls);
    let mut faults = Vec::new();
    let mut add = |call: &str, when: When, is_before: bool| {
        let all = ERRNOS.into_iter().map(|errno| Fault { call: call.to_owned(), errno, when, is_before });
        faults.extend(all);
    };
    let count = |call: &str, end: usize| calls.iter().take(end).filter(|other| *other == call).count();
    for (at, call) in calls.iter().enumerate().take(start).skip(own) {
        if is_pid_1 && C_LIBRARYS.contains(&call.as_str()) {
            continue;
        }
        let nth = count(call, at + 1);
        add(call, When { name: "before", first: nth, last: Some(nth) }, true);
    }
    // exit_group(2) does not return.
    let after: BTreeSet<&String> = calls.iter().skip(start).filter(|call| *call != "exit_group").collect();
    for call in after {
        let first = count(call, start) + 1;
        for (name, last) in [("once", Some(first)), ("a few times", Some(first + 2)), ("always", None)] {
            add(call, When { name, first, last }, false);
        }
    }
    faults
}

/// Tries every fault of a scenario, prints the table, and answers what was wrong.
fn try_all(scenario: Scenario) -> Vec<String> {
    let usual = run(scenario, &[]);
    assert_eq!(usual.code, Some(CODE), "{}", usual.trace);
    let is_pid_1 = matches!(scenario, Scenario::WorkAsPid1 | Scenario::TerminalAsPid1);
    let faults = faults(&usual.calls, is_pid_1);
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(fault) = faults.get(at) else { return };
                    let outcome = run(scenario, &["-e", &fault.option()]);
                    let complaint = outcome.complaint(fault, usual.calls.len());
                    let complaint =
                        complaint.map(|what| format!("{scenario:?}: {fault}: {what}\n{}", outcome.report()));
                    outcomes.lock().unwrap().insert(at, (outcome.word(), complaint));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let mut table = format!("\n{scenario:?}: {} faults\n{:32}", faults.len(), "");
    table.extend(ERRNOS.map(|errno| format!("{errno:>8}")));
    for (row, faults) in faults.chunks(ERRNOS.len()).enumerate() {
        let words = (0..faults.len()).map(|at| outcomes[&(row * ERRNOS.len() + at)].0.as_str());
        let name = format!("{} {}", faults[0].call, faults[0].when.name);
        assert!(words.clone().any(|word| word != "-"), "{name}: no fault got in");
        table += &format!("\n{name:32}{}", words.map(|word| format!("{word:>8}")).collect::<String>());
    }
    // Not by println, which cargo swallows where nothing fails.
    std::io::stdout().write_all((table + "\n").as_bytes()).unwrap();
    outcomes.into_values().filter_map(|(_, complaint)| complaint).collect()
}

/// The calls of a scenario without faults, from the command's start on.
pub fn calls_after_the_start(scenario: Scenario) -> Vec<String> {
    let calls = run(scenario, &[]).calls;
    let start = start_of_command(&calls);
    calls[start..].to_vec()
}

/// Tries every fault of a scenario; each has to be survived.
pub fn check(scenario: Scenario) {
    let complaints = try_all(scenario);
    assert!(complaints.is_empty(), "{} faults are not survived:\n{}", complaints.len(), complaints.join("\n"));
}

fn no_fault_ends_pid_1_at_its_work() {
    check(Scenario::WorkAsPid1);
}

fn no_fault_ends_a_subreaper_at_its_work() {
    check(Scenario::WorkAsSubreaper);
}

fn no_fault_ends_a_subreaper_that_signals_every_descendant() {
    check(Scenario::AllAsSubreaper);
}

fn no_fault_ends_a_job_that_is_stopped_and_continued() {
    check(Scenario::Job);
}

fn no_fault_ends_pid_1_that_has_a_terminal() {
    check(Scenario::TerminalAsPid1);
}
