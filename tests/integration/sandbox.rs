//! A sandbox that refuses a system call: rinit works by another way, or says what is wrong and ends with 125.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::trace::{HeldProcess, start_of_command, with_terminal};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, count_recorded, in_pid_namespace_of, kill, pid_of, probe, program,
    rinit, wait_until, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_refused_call_of_the_start_is_said_or_made_up_for requires [Program("strace")],
    a_real_sandbox_is_survived_as_well,
    without_any_call_that_waits_for_children_it_ends_with_a_message,
    without_wait4_every_child_is_reaped_all_the_same,
    without_pidfd_open_who_entered_from_outside_is_waited_for,
    calls_that_wait_for_children_may_fail_for_a_while requires [Program("strace")],
}

/// What the C library needs for its own start: it aborts without some, before a line of rinit's runs.
const C_LIBRARYS: [&str; 2] = ["brk", "arch_prctl"];

/// A run with these calls refused: whether signals get through, or the words that it ended with.
fn outcome(role: Role, options: &[&str], strace: &[&str], on_terminal: bool) -> Result<(), String> {
    let temp = TempDir::new();
    let file = temp.file("log");
    let probe = probe();
    let words = [options, &[&probe, "record", &file, "15", "7"]].concat();
    let pty = on_terminal.then(|| nix::pty::openpty(None, None).unwrap());
    let terminal = pty.as_ref().map(|pty| pty.slave.try_clone().unwrap());
    let stderr = std::fs::File::create(temp.file("stderr")).unwrap();
    let held = HeldProcess::new(role, &words, |command| {
        let command = match terminal {
            Some(terminal) => with_terminal(command, terminal),
            None => command,
        };
        crate::harness::trace::with_stderr(command, stderr.into())
    });
    let mut traced = held.traced(strace);
    let text = || std::fs::read_to_string(temp.file("stderr")).unwrap();
    if !becomes(|| is_ready(&file) || !traced.running.is_running()) {
        return Err(format!("hangs: {:?}\n{}", text(), traced.calls().join(" ")));
    }
    if !is_ready(&file) {
        let code = traced.running.status().code();
        return match code {
            Some(125) if text().contains("]: error: ") => Ok(()),
            code => Err(format!("ended with {code:?} and {:?}", text())),
        };
    }
    kill(traced.pid, libc::SIGTERM);
    if !becomes(|| count_recorded(&file, "15 plain") == 1) {
        return Err(format!("SIGTERM is not forwarded: {:?}\n{}", text(), traced.calls().join(" ")));
    }
    if !becomes(|| !traced.running.is_running()) {
        return Err(format!("does not end: {:?}\n{}", text(), traced.calls().join(" ")));
    }
    match traced.running.status().code() {
        Some(7) => Ok(()),
        code => Err(format!("ended with {code:?} in place of 7: {:?}", text())),
    }
}

/// Whether a condition comes true within some seconds: others follow where it does not.
fn becomes(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        thread::sleep(Duration::from_millis(3));
    }
    true
}

fn is_ready(file: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.contains("ready"))
}

/// The calls of rinit's own start, up to the one that starts the command and with it.
fn calls_of_the_start(role: Role, options: &[&str], on_terminal: bool) -> BTreeSet<String> {
    let temp = TempDir::new();
    let file = temp.file("log");
    let probe = probe();
    let words = [options, &[&probe, "record", &file, "15", "7"]].concat();
    let pty = on_terminal.then(|| nix::pty::openpty(None, None).unwrap());
    let terminal = pty.as_ref().map(|pty| pty.slave.try_clone().unwrap());
    let held = HeldProcess::new(role, &words, |command| match terminal {
        Some(terminal) => with_terminal(command, terminal),
        None => command,
    });
    let traced = held.traced(&[]);
    wait_until_ready(&file);
    let calls = traced.calls();
    let own = calls.iter().position(|call| call == "execve").unwrap() + 1;
    calls[own..start_of_command(&calls)].iter().filter(|call| !C_LIBRARYS.contains(&call.as_str())).cloned().collect()
}

fn a_refused_call_of_the_start_is_said_or_made_up_for() {
    let mut wrong = Vec::new();
    for role in BOTH_ROLES {
        for (options, on_terminal) in
            [(&[][..], false), (&["-a", "-w", "--grace", "0.1", "-p", "USR1", "-e", "9"], false), (&[], true)]
        {
            for call in calls_of_the_start(role, options, on_terminal) {
                for errno in ["EPERM", "ENOSYS"] {
                    let inject = format!("inject={call}:error={errno}");
                    // Of the start alone: later the same call may be one that nothing can make up for.
                    let result = outcome(role, options, &["-e", &inject], on_terminal);
                    if let Err(what) = result {
                        wrong.push(format!("{role:?} {options:?}, terminal {on_terminal}: {call} {errno}: {what}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} refusals are not survived:\n{}", wrong.len(), wrong.join("\n"));
}

fn a_real_sandbox_is_survived_as_well() {
    // Its rules hold for the command, too: a shell does without these.
    for role in BOTH_ROLES {
        for (name, number) in [
            ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
            ("prctl", libc::SYS_prctl),
            ("setpgid", libc::SYS_setpgid),
            ("close_range", libc::SYS_close_range),
            ("chdir", libc::SYS_chdir),
            ("ioctl", libc::SYS_ioctl),
            ("rt_sigpending", libc::SYS_rt_sigpending),
            ("rt_sigtimedwait", libc::SYS_rt_sigtimedwait),
            ("waitid", libc::SYS_waitid),
            ("signalfd4", libc::SYS_signalfd4),
            ("sched_getattr", libc::SYS_sched_getattr),
        ] {
            for errno in [libc::EPERM, libc::ENOSYS] {
                let temp = TempDir::new();
                let file = temp.file("ready");
                let script = format!("trap 'exit 7' TERM; echo ready >{file}; while :; do {} wait 20; done", probe());
                let mut command = program(probe());
                command.args(["refuse", &number.to_string(), &errno.to_string()]).arg(rinit());
                let mut running = Running::spawn_captured(role, command.args(["/bin/sh", "-c", &script]));
                let has_begun = wait_until("the command or the end", || {
                    if is_ready(&file) {
                        return Some(true);
                    }
                    (!running.is_running()).then_some(false)
                });
                if has_begun {
                    running.kill(libc::SIGTERM);
                    assert_eq!(running.exit_code(), 7, "{role:?} {name} {errno}: {}", running.stderr());
                } else {
                    let text = running.stderr();
                    assert_eq!(running.exit_code(), 125, "{role:?} {name} {errno}: {text}");
                    assert!(text.contains("]: error: "), "{role:?} {name} {errno}: {text}");
                }
            }
        }
    }
}

/// Both calls that can tell which child has ended.
const WAITS: [&str; 2] = ["wait4", "waitid"];

fn without_any_call_that_waits_for_children_it_ends_with_a_message() {
    for role in BOTH_ROLES {
        // ECHILD would mean that there is no main child.
        for errno in [libc::EPERM, libc::ECHILD] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut command = program(probe());
            command.args(["refuse", &libc::SYS_wait4.to_string(), &errno.to_string(), &probe()]);
            command.args(["refuse", &libc::SYS_waitid.to_string(), &errno.to_string()]).arg(rinit());
            let mut running = Running::spawn_captured(role, command.args([&probe(), "record", &file, "15", "7"]));
            wait_until_ready(&file);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 125, "{role:?} {errno}: {}", running.stderr());
            assert!(running.stderr().contains("cannot wait for the main child"), "{role:?}: {}", running.stderr());
        }
    }
}

fn without_wait4_every_child_is_reaped_all_the_same() {
    for role in BOTH_ROLES {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut command = program(probe());
            command.args(["refuse", &libc::SYS_wait4.to_string(), &errno.to_string()]).arg(rinit());
            command.args(["--wait-all", &probe(), "record-detached", &file]);
            let mut running = Running::spawn_captured(role, &mut command);
            wait_until_ready(&file);
            let daemon = pid_of(&file);
            wait_until("the main child to be reaped", || (children(running.pid) == [daemon]).then_some(()));
            assert!(running.is_running());
            kill(daemon, libc::SIGKILL);
            assert_eq!(running.exit_code(), 0, "{role:?} {errno}: {}", running.stderr());
        }
    }
}

fn without_pidfd_open_who_entered_from_outside_is_waited_for() {
    let temp = TempDir::new();
    let (file, log) = (temp.file("go"), temp.file("log"));
    let script = format!("until [ -s {file} ]; do :; done; exit 3");
    let mut command = program(probe());
    command.args(["refuse", &libc::SYS_pidfd_open.to_string(), &libc::EPERM.to_string()]).arg(rinit());
    let mut running = Running::spawn(Role::Pid1, command.args(["--wait-all", "/bin/sh", "-c", &script]));
    running.wait_until_signals_are_blocked();
    let mut recorder = in_pid_namespace_of(running.pid).args([&probe(), "record", &log, "12", "0"]).spawn().unwrap();
    wait_until_ready(&log);
    std::fs::write(&file, "go").unwrap();
    wait_until("the main child to be reaped", || children(running.pid).is_empty().then_some(()));
    running.kill(libc::SIGHUP);
    wait_until_recorded(&log, &["1 plain"]);
    assert!(running.is_running());
    running.kill(libc::SIGUSR2);
    assert!(recorder.wait().unwrap().success());
    // Nothing tells rinit of that end. It looks when it is told of another one.
    running.kill(libc::SIGCHLD);
    assert_eq!(running.exit_code(), 3);
}

fn calls_that_wait_for_children_may_fail_for_a_while() {
    for role in BOTH_ROLES {
        let inject = WAITS.map(|call| format!("inject={call}:error=EPERM:when=1..20"));
        let held = HeldProcess::new(role, &[&probe(), "exit", "7"], |command| command);
        let mut traced = held.traced(&["-e", &inject[0], "-e", &inject[1]]);
        assert_eq!(traced.running.exit_code(), 7, "{role:?}: {}", traced.running.stderr());
        for call in WAITS {
            assert!(traced.calls().iter().filter(|made| *made == call).count() >= 20, "{role:?}: {call}");
        }
    }
}
