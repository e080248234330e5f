//! Name, variable, option, signal: who received it.

use std::fs;
use std::os::unix::process::CommandExt;

use libc::{c_int, pid_t};

use super::{CATATONIT, Faults, TINI_AND_CATATONIT, init, original_and_rinit};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, forwarded_signals, is_waiting, pid_of, probe, recorded_signals, state,
    status_line, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces, Program("tini"), Program("tini-static"), Program("docker-init"), Program("catatonit"), Program("dumb-init")];
    each_signal_reaches_whom_tini_sends_it_to,
    each_signal_reaches_whom_catatonit_sends_it_to,
    each_signal_reaches_whom_dumb_init_sends_it_to,
    each_option_and_variable_means_what_it_means_to_the_original,
    each_rewrite_is_what_it_is_to_dumb_init,
}

const HUP: c_int = libc::SIGHUP;
const TERM: c_int = libc::SIGTERM;
const TSTP: c_int = libc::SIGTSTP;
const TTIN: c_int = libc::SIGTTIN;
const TTOU: c_int = libc::SIGTTOU;
/// A selection, where all would take too long: one of each kind that some init treats in a way of its own.
const SOME: &[c_int] = &[HUP, TERM, libc::SIGUSR1, TSTP, TTIN, libc::SIGCONT, libc::SIGABRT, libc::SIGCHLD, 34];

/// Signals that some original drops or dies of, and rinit forwards: the original's user could not use them, or lost
/// the container by them.
const LOST: [(&[&str], &[c_int], &str); 3] = [
    (
        TINI_AND_CATATONIT,
        &[libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS],
        "the original leaves these to its own faults, and drops or dies of one that somebody sends",
    ),
    (
        TINI_AND_CATATONIT,
        &[TTIN, TTOU],
        "the original ignores these, and gunicorn or haproxy never gets what it is sent",
    ),
    (CATATONIT, &[TSTP], "the original ignores it, and the command cannot be stopped"),
];

/// A main child, a helper in its group, and their init.
struct Family {
    running: Running,
    members: [(pid_t, String); 2],
    _temp: TempDir,
}

impl Family {
    fn start(role: Role, path: &str, variables: &str, options: &str) -> Self {
        let temp = TempDir::new();
        let files = ["main", "helper"].map(|name| temp.file(name));
        let script = family(&files);
        let mut command = init(path, variables, options);
        // A group of its own: an init that stops its group does not stop the tests.
        command.args(["--", "sh", "-c", &script]).process_group(0);
        let mut running = Running::spawn_captured(role, &mut command);
        let members = files.map(|file| {
            wait_until("the family", || {
                assert!(running.is_running(), "{path} {options} has ended: {}", running.stderr());
                fs::read_to_string(&file).ok().filter(|text| text.contains("ready")).map(drop)
            });
            wait_until_ready(&file);
            (pid_of(&file), file)
        });
        Self { running, members, _temp: temp }
    }

    /// Sends the init a signal. Returns who received what, in words.
    fn send(&mut self, signal: c_int) -> String {
        let before = self.count_recorded();
        send(self.running.pid, signal);
        let is_stopped = self.wait_until_init_is_done();
        if !has_taken_its_signals(self.members[0].0) {
            // The main child has ended, and so each init does.
            self.running.status();
        }
        let mut words = self.received(before);
        if is_stopped {
            words.push("init stopped".to_owned());
            let before = self.count_recorded();
            send(self.running.pid, libc::SIGCONT);
            self.wait_until_init_is_done();
            words.push(format!("then {}", self.received(before).join(", ")));
        }
        if !self.running.is_running() {
            words.push(format!("init ended: {}", self.running.status()));
        }
        if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
    }

    fn count_recorded(&self) -> [usize; 2] {
        [0, 1].map(|member| recorded_signals(&self.members[member].1).len())
    }

    /// Waits until the init has forwarded what it was going to. Returns whether it has stopped itself.
    fn wait_until_init_is_done(&mut self) -> bool {
        wait_until("the init to wait again", || {
            if !self.running.is_running() {
                return Some(false);
            }
            match state(self.running.pid) {
                Some('T') => Some(true),
                // A signal that has been sent wakes it before the call that sent the signal returns.
                Some('S') if has_none_pending(self.running.pid) => Some(false),
                _ => None,
            }
        })
    }

    /// What each member has got since, when it has taken all of it. Who was stopped goes on.
    fn received(&self, before: [usize; 2]) -> Vec<String> {
        let mut words = Vec::new();
        for ((name, (pid, file)), before) in ["main", "helper"].iter().zip(&self.members).zip(before) {
            let is_there = || !matches!(state(*pid), None | Some('Z'));
            has_taken_its_signals(*pid);
            let mut signals = recorded_signals(file).split_off(before);
            if state(*pid) == Some('T') {
                signals.push("stopped".to_owned());
                send(*pid, libc::SIGCONT);
                wait_until(format!("{name} to go on after {signals:?}"), || {
                    (!is_there() || is_waiting(*pid) && recorded_signals(file).ends_with(&["18 plain".to_owned()]))
                        .then_some(())
                });
            }
            if !is_there() {
                signals.push("killed".to_owned());
            }
            if !signals.is_empty() {
                words.push(format!("{name} {}", signals.join(" ").replace(" plain", "")));
            }
        }
        words
    }
}

/// Waits until a recorder has taken all that it was sent, or is stopped. Returns whether it is still there.
fn has_taken_its_signals(pid: pid_t) -> bool {
    wait_until("a member to take what it got", || match state(pid) {
        None | Some('Z') => Some(false),
        Some('T') => Some(true),
        _ => (is_waiting(pid) && has_none_pending(pid)).then_some(true),
    })
}

/// A script that becomes the main child and leaves the helper to others, so that it gets no SIGCHLD of the helper's.
pub fn family([main, helper]: &[String; 2]) -> String {
    let probe = probe();
    format!("({probe} record {helper} &); exec {probe} record {main}")
}

/// Sends a signal to a process that may have ended.
fn send(pid: pid_t, signal: c_int) {
    // SAFETY: numbers only.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a process has taken every signal that it was sent, or has ended.
pub fn has_none_pending(pid: pid_t) -> bool {
    ["SigPnd", "ShdPnd"]
        .iter()
        .all(|name| status_line(pid, name).is_none_or(|mask| mask.bytes().all(|byte| byte == b'0')))
}

/// Holds rinit against the original: each signal, one after the other, in both roles.
fn compare(faults: &mut Faults, name: &str, variables: &str, options: &str, signals: &[c_int]) {
    let temp = TempDir::new();
    for role in BOTH_ROLES {
        let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
            let mut family = None;
            let mut send = |signal: &c_int| {
                let mut one = family.take().unwrap_or_else(|| Family::start(role, &path, variables, options));
                let line = one.send(*signal);
                let is_whole = one.running.is_running() && !line.contains("killed");
                family = is_whole.then_some(one);
                line
            };
            // Whom a signal without any meaning of its own reaches.
            let usual = send(&libc::SIGWINCH);
            (usual, signals.iter().map(send).collect::<Vec<_>>())
        });
        for (position, signal) in signals.iter().enumerate() {
            let row = format!("{variables} {name} {options}: {signal} to {role:?}");
            let lost = LOST.iter().find(|(names, signals, _)| names.contains(&name) && signals.contains(signal));
            let expected = ours.0.replace(&libc::SIGWINCH.to_string(), &signal.to_string());
            faults.compare(&row, &theirs.1[position], &ours.1[position], lost.map(|(_, _, why)| (&expected, *why)));
        }
        faults.compare(&format!("{variables} {name} {options}: usual"), &theirs.0, &ours.0, None);
    }
}

fn all_signals() -> Vec<c_int> {
    forwarded_signals().chain([libc::SIGCHLD]).collect()
}

fn each_signal_reaches_whom_tini_sends_it_to() {
    let mut faults = Faults::default();
    compare(&mut faults, "tini", "", "", &all_signals());
    compare(&mut faults, "tini", "", "-g", &all_signals());
    faults.check();
}

fn each_signal_reaches_whom_catatonit_sends_it_to() {
    let mut faults = Faults::default();
    compare(&mut faults, "catatonit", "", "", &all_signals());
    compare(&mut faults, "catatonit", "", "-g", &all_signals());
    faults.check();
}

fn each_signal_reaches_whom_dumb_init_sends_it_to() {
    let mut faults = Faults::default();
    compare(&mut faults, "dumb-init", "", "", &all_signals());
    compare(&mut faults, "dumb-init", "", "-c", &all_signals());
    faults.check();
}

fn each_option_and_variable_means_what_it_means_to_the_original() {
    let mut faults = Faults::default();
    for (name, variables, options) in [
        ("tini", "", "-s"),
        ("tini", "", "-sg"),
        ("tini", "TINI_KILL_PROCESS_GROUP=1", ""),
        // Any value is a yes.
        ("tini", "TINI_KILL_PROCESS_GROUP=", ""),
        ("tini", "TINI_KILL_PROCESS_GROUP=0", ""),
        ("tini", "TINI_SUBREAPER=1", ""),
        ("tini", "TINI_SUBREAPER=", "-w"),
        ("tini", "TINI_VERBOSITY=3", "-g"),
        ("tini", "DUMB_INIT_SETSID=1", ""),
        ("tini-static", "", ""),
        ("tini-static", "TINI_KILL_PROCESS_GROUP=no", ""),
        ("docker-init", "", ""),
        ("docker-init", "", "-g"),
        ("docker-init", "TINI_KILL_PROCESS_GROUP=yes", ""),
        ("catatonit", "TINI_SUBREAPER=1", ""),
        ("catatonit", "CATATONIT_DEBUG=1", "-g"),
        ("podman-init", "", ""),
        ("podman-init", "", "-g"),
        ("dumb-init", "", "--single-child"),
        ("dumb-init", "DUMB_INIT_SETSID=0", ""),
        ("dumb-init", "DUMB_INIT_SETSID=0", "--verbose"),
        // Nothing but 0 is a no.
        ("dumb-init", "DUMB_INIT_SETSID=", ""),
        ("dumb-init", "DUMB_INIT_SETSID=00", ""),
        ("dumb-init", "DUMB_INIT_SETSID=no", ""),
        ("dumb-init", "DUMB_INIT_SETSID=1", "-c"),
        ("dumb-init", "DUMB_INIT_DEBUG=1", ""),
        ("dumb-init", "TINI_KILL_PROCESS_GROUP=1", "-c"),
    ] {
        compare(&mut faults, name, variables, options, SOME);
    }
    faults.check();
}

fn each_rewrite_is_what_it_is_to_dumb_init() {
    let mut faults = Faults::default();
    for (options, signals) in [
        ("-r 15:3", &[TERM, HUP][..]),
        ("-r15:3", &[TERM]),
        ("--rewrite 15:3 -c", &[TERM]),
        ("--rewrite=15:3 -r 1:2", &[TERM, HUP]),
        ("-cvr 15:2", &[TERM]),
        ("-r 15:0", &[TERM, HUP]),
        // The last one counts, and none of them is applied to what another one gives.
        ("-r 1:2 -r 1:10", &[HUP]),
        ("-r 1:2 -r 2:10", &[HUP, 2]),
        ("-r 15:15", &[TERM]),
        ("-r 015:03", &[TERM]),
        // Signals that it never gets, or keeps.
        ("-r 9:3", &[HUP, 3]),
        ("-r 19:1", &[HUP]),
        ("-r 17:10", &[libc::SIGCHLD, HUP]),
        ("-r 1:17", &[HUP]),
        ("-r 1:9", &[HUP]),
        ("-c -r 1:9", &[HUP]),
        ("-r 1:19", &[HUP]),
        ("-r 1:19 -c", &[HUP]),
        // Job control signals: a stop for the others, and the init's own.
        ("-r 20:20", &[TSTP, TTIN, TTOU]),
        ("-r 20:0", &[TSTP, TTIN]),
        ("-r 21:1 -r 22:15", &[TSTP, TTIN, TTOU]),
        ("-r 1:20", &[HUP]),
        ("-c -r 20:15", &[TSTP, TTIN]),
        ("-c -r 20:19", &[TSTP]),
    ] {
        compare(&mut faults, "dumb-init", "", options, signals);
    }
    faults.check();
}
