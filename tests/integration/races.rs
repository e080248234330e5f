//! Races by search, not by luck: rinit is held at each of its system calls in turn, by strace(1), while the other side of
//! the race goes on. Which calls those are is read off a trace, so that a new one joins by itself.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::process::Stdio;

use libc::pid_t;

use crate::harness::trace::{HeldProcess, TracedProcess, start_of_command, with_blocked, with_terminal};
use crate::harness::{
    BOTH_ROLES, Role, TempDir, children, is_waiting, kill, probe, queue_one, recorded_signals, state, wait_until,
    wait_until_ready,
};

tests! {
    requires [Namespaces];
    a_signal_at_any_moment_of_the_start_reaches_the_command requires [Program("strace")],
    the_main_childs_exit_against_signals_in_flight requires [Program("strace")],
    a_stragglers_exit_against_the_deadline requires [Program("strace")],
    a_stop_against_a_continue requires [Program("strace")],
    a_continue_at_any_moment_of_a_stop requires [Program("strace")],
}

/// How long a call is held, in microseconds: long beside what the rest of a run takes.
const LONG: u32 = 60_000;

/// As long as what the other side does meanwhile.
const SHORT: u32 = 3_000;

/// A place where rinit is held: before or after a call, at one of its occurrences or at all from that one on.
struct Hold {
    call: String,
    nth: usize,
    every: bool,
    side: &'static str,
    microseconds: u32,
}

impl Hold {
    fn option(&self) -> String {
        let every = if self.every { "+" } else { "" };
        format!("inject={}:delay_{}={}:when={}{every}", self.call, self.side, self.microseconds, self.nth)
    }

    /// Whether a continue is not lost there. When a process has looked for one and stops itself then, the stop discards the
    /// one that came in between: POSIX, "Signal Generation and Delivery". That is a moment, unless rinit is held in it.
    fn is_no_blind_spot(&self) -> bool {
        !matches!((self.call.as_str(), self.side), ("rt_sigpending", "exit") | ("kill", "enter"))
    }
}

/// The calls of a run to its end.
fn calls_of(mut traced: TracedProcess) -> Vec<String> {
    traced.running.status();
    let trace = traced.trace();
    let calls = trace.lines().filter_map(crate::harness::trace::name_of_call);
    calls.map(str::to_owned).filter(|call| call != "exit_group").collect()
}

/// Every occurrence of a call between exec and the command's start.
fn holds_before_the_start(calls: &[String]) -> Vec<Hold> {
    let own = calls.iter().position(|call| call == "execve").unwrap() + 1;
    holds_within(calls, own..start_of_command(calls))
}

/// Every occurrence of a call in a part of a run.
fn holds_within(calls: &[String], part: Range<usize>) -> Vec<Hold> {
    let occurrences = part.map(|at| {
        let call = calls[at].clone();
        let nth = calls[..=at].iter().filter(|other| **other == call).count();
        (call, nth)
    });
    let sides = |(call, nth): (String, usize)| {
        ["enter", "exit"].map(|side| Hold { call: call.clone(), nth, every: false, side, microseconds: LONG })
    };
    occurrences.flat_map(sides).collect()
}

/// Every kind of call after the command's start.
fn holds_after_the_start(calls: &[String]) -> Vec<Hold> {
    let start = start_of_command(calls);
    let kinds: BTreeSet<&String> = calls[start..].iter().collect();
    let sides = |call: &String| {
        let nth = calls[..start].iter().filter(|other| *other == call).count() + 1;
        ["enter", "exit"].map(|side| Hold { call: call.clone(), nth, every: true, side, microseconds: SHORT })
    };
    kinds.into_iter().flat_map(sides).collect()
}

/// Waits until rinit is held: stopped by its tracer, and not for the moment that any call takes. False where it was held
/// while this did not look, and waits for signals now.
fn wait_until_held(pid: pid_t) -> bool {
    let mut looks = 0;
    wait_until("rinit to be held", || {
        looks = if state(pid) == Some('t') { looks + 1 } else { 0 };
        let is_held = looks >= 4 || state(pid) == Some('Z');
        (is_held || is_waiting(pid)).then_some(is_held)
    })
}

fn held(role: Role, words: &[&str]) -> HeldProcess {
    HeldProcess::new(role, words, |command| command.stdin(Stdio::null()))
}

fn a_signal_at_any_moment_of_the_start_reaches_the_command() {
    for role in BOTH_ROLES {
        let usual = calls_of(held(role, &["sh", "-c", "exit 7"]).traced(&[]));
        let mut holds = holds_before_the_start(&usual);
        // Before the first call is the kernel's turn: it drops or kills, signal(7). With it signals wait.
        holds.retain(|hold| hold.call != "rt_sigprocmask" || hold.nth != 1 || hold.side != "enter");
        let is_held = |hold: &Hold| {
            let temp = TempDir::new();
            let file = temp.file("log");
            // The command has them blocked from its exec on, so that it does not die before it can record them.
            let held = HeldProcess::new(role, &[&probe(), "record", &file, "15", "7"], |command| {
                with_blocked(command, &[libc::SIGUSR2, 40])
            });
            let mut traced = held.traced(&["-e", &hold.option()]);
            traced.running.wait_until_signals_are_blocked();
            if !wait_until_held(traced.pid) {
                return None;
            }
            kill(traced.pid, libc::SIGUSR2);
            queue_one(traced.pid, 40, 5);
            wait_until(hold.option(), || (recorded_signals(&file).len() == 2).then_some(()));
            assert_eq!(recorded_signals(&file), ["12 plain", "40 value 5"], "{role:?}: {}", hold.option());
            kill(traced.pid, libc::SIGTERM);
            assert_eq!(traced.running.exit_code(), 7, "{role:?}: {}", hold.option());
            Some(())
        };
        holds.iter().for_each(|hold| wait_until(hold.option(), || is_held(hold)));
        println!("{role:?}: a signal at {} places of the start", holds.len());
    }
}

fn the_main_childs_exit_against_signals_in_flight() {
    for role in BOTH_ROLES {
        for options in [&["--grace", "0.02"][..], &["-w"], &["-c"]] {
            let run = |hold: Option<&Hold>| {
                let temp = TempDir::new();
                let file = temp.file("log");
                let probe = probe();
                let words = [options, &[&probe, "record", &file, "12", "9"]].concat();
                let option = hold.map(Hold::option);
                let strace: Vec<&str> = option.iter().flat_map(|option| ["-e", option]).collect();
                let mut traced = held(role, &words).traced(&strace);
                wait_until_ready(&file);
                let pid = traced.pid;
                let main_child = traced.running.main_child();
                let own = crate::harness::status_line(main_child, "NSpid").unwrap();
                let own = own.split_ascii_whitespace().next_back().unwrap().to_owned();
                // The second one ends the main child, and the rest meets that at whatever rinit does then.
                for number in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH, libc::SIGHUP, 41, 42] {
                    if state(pid) != Some('Z') {
                        kill(pid, number);
                    }
                }
                let what = option.unwrap_or_default();
                assert_eq!(traced.running.exit_code(), 9, "{role:?}: {what}: {}", traced.running.stderr());
                let trace = traced.trace();
                // Its pid may be anybody's once it has been reaped.
                let reaped = |line: &str| {
                    line.starts_with("wait4(") && line.contains(&format!("= {own}")) && !line.contains("STOPPED(")
                };
                let after: Vec<&str> = trace.lines().skip_while(|line| !reaped(line)).skip(1).collect();
                let named = [format!("kill({own},"), format!("kill(-{own},"), format!("rt_sigqueueinfo({own},")];
                let wrong = after.iter().find(|line| named.iter().any(|name| line.starts_with(name)));
                assert_eq!(wrong, None, "{role:?}: {what}:\n{trace}");
                trace.lines().filter_map(crate::harness::trace::name_of_call).map(str::to_owned).collect::<Vec<_>>()
            };
            let calls = run(None);
            let calls: Vec<String> = calls.into_iter().filter(|call| call != "exit_group").collect();
            let holds = holds_after_the_start(&calls);
            holds.iter().for_each(|hold| drop(run(Some(hold))));
            println!("{role:?} {options:?}: the main child's exit at {} places", holds.len());
        }
    }
}

fn a_stragglers_exit_against_the_deadline() {
    for role in BOTH_ROLES {
        let mut table = String::new();
        // From long before the deadline to long after it, in steps that are narrow around it.
        for milliseconds in [0, 60, 80, 90, 94, 97, 99, 100, 101, 103, 106, 110, 140] {
            for hold in [
                None,
                Some("rt_sigtimedwait:delay_exit=3000"),
                Some("kill:delay_exit=3000"),
                Some("wait4:delay_enter=3000"),
            ] {
                let temp = TempDir::new();
                let file = temp.file("data");
                let script =
                    format!("{} flush {file} {milliseconds} & until [ -s {file} ]; do :; done; exit 3", probe());
                let option = hold.map(|hold| format!("inject={hold}"));
                let strace: Vec<&str> = option.iter().flat_map(|option| ["-e", option]).collect();
                let strace = [&["-ttt"], &strace[..]].concat();
                let mut traced = held(role, &["--grace", "0.1", "sh", "-c", &script]).traced(&strace);
                assert_eq!(traced.running.exit_code(), 3, "{role:?}: {milliseconds} ms, {hold:?}");
                let (is_flushed, stderr) = (fs::read_to_string(&file).unwrap() == "flushed\n", traced.running.stderr());
                // Whoever had not finished was killed, and nobody is killed before the time is over.
                let is_killed = stderr.contains("killing every process left");
                assert!(is_flushed || is_killed, "{role:?}: {milliseconds} ms, {hold:?}: {stderr}");
                let trace = traced.trace();
                let time_of = |part: &str| {
                    let line = trace.lines().find(|line| line.contains(part))?;
                    line.split(' ').next().unwrap().parse::<f64>().ok()
                };
                let ended = time_of("WEXITSTATUS(s) == 3").unwrap();
                assert!(time_of(", SIGKILL)").is_none_or(|killed| killed - ended >= 0.1), "{trace}");
                table += match (is_flushed, is_killed) {
                    (true, false) => " f",
                    (true, true) => " F",
                    _ => " k",
                };
            }
            table += ";";
        }
        println!("{role:?}: flushed (f), flushed and at the deadline (F), killed (k):{table}");
    }
}

fn a_stop_against_a_continue() {
    let orders: [&[i32]; 4] = [
        &[libc::SIGTSTP, libc::SIGCONT],
        &[libc::SIGCONT, libc::SIGTSTP, libc::SIGCONT],
        &[libc::SIGTSTP, libc::SIGTSTP, libc::SIGCONT],
        &[libc::SIGTSTP, libc::SIGCONT, libc::SIGTSTP, libc::SIGCONT],
    ];
    for is_job in [false, true] {
        let run = |order: &[i32], waits: bool, hold: Option<&Hold>| {
            let temp = TempDir::new();
            let file = temp.file("ready");
            let probe = probe();
            let words = [&probe, "obey", "7", &file];
            let pty = nix::pty::openpty(None, None).unwrap();
            let held = match is_job {
                // Nobody continues it but this test: a continue that is lost is missed.
                true => HeldProcess::as_job(&words, |command| with_terminal(command.env("PATIENT", "1"), pty.slave)),
                false => held(Role::Pid1, &words),
            };
            let option = hold.map(Hold::option);
            let strace: Vec<&str> = option.iter().flat_map(|option| ["-e", option]).collect();
            let mut traced = held.traced(&strace);
            wait_until_ready(&file);
            let main_child = wait_until("the main child", || children(traced.pid).first().copied());
            for signal in order {
                kill(traced.pid, *signal);
                // At once, and only when the command has done what it was told.
                if waits && *signal == libc::SIGTSTP && !is_job {
                    wait_until("the stop", || (state(main_child) == Some('T')).then_some(()));
                }
            }
            kill(traced.pid, libc::SIGTERM);
            let what = format!("job: {is_job}: {order:?} {waits} {}", option.unwrap_or_default());
            wait_until(&what, || (!traced.running.is_running()).then_some(()));
            assert_eq!(traced.running.exit_code(), 7, "{what}");
            let trace = traced.trace();
            let calls = trace.lines().filter_map(crate::harness::trace::name_of_call);
            calls.map(str::to_owned).filter(|call| call != "exit_group").collect::<Vec<_>>()
        };
        let calls = run(orders[3], true, None);
        let mut holds = holds_after_the_start(&calls);
        holds.retain(|hold| !is_job || hold.is_no_blind_spot());
        for order in orders {
            for waits in [false, true] {
                holds.iter().for_each(|hold| drop(run(order, waits, Some(hold))));
            }
        }
        println!("job: {is_job}: {} orders of stops and continues at {} places", 2 * orders.len(), holds.len());
    }
}

fn a_continue_at_any_moment_of_a_stop() {
    let run = |hold: Option<&Hold>| {
        let temp = TempDir::new();
        let file = temp.file("ready");
        let pty = nix::pty::openpty(None, None).unwrap();
        let words = [&probe(), "obey", "7", &file];
        let held = HeldProcess::as_job(&words, |command| with_terminal(command.env("PATIENT", "1"), pty.slave));
        let option = hold.map(Hold::option);
        let strace: Vec<&str> = option.iter().flat_map(|option| ["-e", option]).collect();
        let mut traced = held.traced(&strace);
        wait_until_ready(&file);
        wait_until("the wait", || is_waiting(traced.pid).then_some(()));
        kill(traced.pid, libc::SIGTSTP);
        // Or stopped, which looks the same and comes next.
        wait_until_held(traced.pid);
        kill(traced.pid, libc::SIGCONT);
        kill(traced.pid, libc::SIGTERM);
        wait_until(format!("the end, {}", option.unwrap_or_default()), || (!traced.running.is_running()).then_some(()));
        assert_eq!(traced.running.exit_code(), 7);
        traced
    };
    let calls = calls_of(run(None));
    let wait = calls.iter().position(|call| call == "rt_sigtimedwait").unwrap();
    let mut holds = holds_within(&calls, wait..calls.len());
    // That is where it waits for the first signal.
    holds.remove(0);
    holds.retain(Hold::is_no_blind_spot);
    for hold in &holds {
        run(Some(hold));
    }
    println!("a continue at {} places of a stop", holds.len());
}
