//! `--kill-after`: a main child that does not end on SIGTERM, SIGINT or SIGQUIT is killed, so that what comes after it
//! still has time.

use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, count_recorded, is_waiting, is_waiting_without_deadline,
    kill, nginx_settings, pid_of, probe, program, recorded_signals, rinit, run_with, state, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_main_child_that_ignores_a_request_to_end_is_killed,
    it_counts_as_killed_for_the_exit_code,
    a_main_child_that_ends_in_time_is_not_killed_and_not_waited_for_any_longer,
    no_other_signal_starts_the_clock,
    a_request_that_is_rewritten_counts_and_one_that_is_dropped_does_not,
    a_second_request_does_not_put_it_off,
    orphans_and_signals_without_end_do_not_put_it_off,
    a_stopped_main_child_is_killed,
    nobody_is_killed_for_a_main_child_that_has_ended,
    the_group_is_killed_or_the_main_child_alone_or_all,
    the_grace_period_comes_after_it,
    with_wait_all_the_rest_is_waited_for,
    the_variable_is_the_option,
    no_time_is_no_time_limit,
    what_is_no_duration_is_refused,
    nginx_that_waits_for_a_request_is_killed requires [Program("nginx")],
}

/// Longer than any test waits.
const LONG: &str = "1h";

/// rinit with these options and a main child that records its signals, and ends on SIGUSR2 with 4.
fn recording(role: Role, options: &[&str], file: &str) -> Running {
    let probe = probe();
    let words = [options, &[probe.as_str(), "record", file, "12", "4"]].concat();
    let running = Running::start(role, &words, |command| command);
    wait_until_ready(file);
    running
}

fn a_main_child_that_ignores_a_request_to_end_is_killed() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
                let temp = TempDir::new();
                let file = temp.file("log");
                let mut running = recording(role, &[&["--kill-after", "0.1"], options].concat(), &file);
                running.kill(signal);
                assert_eq!(running.exit_code(), 137, "{role:?} {options:?} {signal}");
                // On a busy machine it may have had no time to take it.
                assert!(recorded_signals(&file).iter().all(|got| *got == format!("{signal} plain")));
            }
        }
    }
}

fn it_counts_as_killed_for_the_exit_code() {
    let temp = TempDir::new();
    let mut running = recording(Role::Pid1, &["--kill-after", "0.1", "-e", "137"], &temp.file("log"));
    running.kill(libc::SIGTERM);
    assert_eq!(running.exit_code(), 0);
}

fn a_main_child_that_ends_in_time_is_not_killed_and_not_waited_for_any_longer() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut running = recording(role, &["--kill-after", LONG], &file);
        running.kill(libc::SIGTERM);
        wait_until_recorded(&file, &["15 plain"]);
        running.kill(libc::SIGUSR2);
        assert_eq!(running.exit_code(), 4, "{role:?}");
    }
}

fn no_other_signal_starts_the_clock() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut running = recording(role, &["--kill-after", "0.05"], &file);
        for signal in crate::harness::forwarded_signals() {
            // SIGUSR2 ends the main child.
            if ![libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR2].contains(&signal) {
                running.kill(signal);
                wait_until("the signal", || (count_recorded(&file, &format!("{signal} plain")) == 1).then_some(()));
            }
        }
        wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
        assert!(running.is_running(), "{role:?}");
        running.kill(libc::SIGUSR2);
        assert_eq!(running.exit_code(), 4);
    }
}

fn a_request_that_is_rewritten_counts_and_one_that_is_dropped_does_not() {
    for role in BOTH_ROLES {
        for (rewrite, sent, got) in [("HUP:TERM", libc::SIGHUP, "15 plain"), ("TERM:QUIT", libc::SIGTERM, "3 plain")] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut running = recording(role, &["--kill-after", "0.1", "-r", rewrite], &file);
            running.kill(sent);
            assert_eq!(running.exit_code(), 137, "{role:?} {rewrite}");
            assert!(recorded_signals(&file).iter().all(|line| line == got));
        }
        {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut running = recording(role, &["--kill-after", "0.05", "-r", "TERM:0"], &file);
            running.kill(libc::SIGTERM);
            // Sent when the first one has been taken: the kernel hands out the lower number first.
            wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
            wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
            running.kill(libc::SIGUSR2);
            assert_eq!(running.exit_code(), 4, "{role:?}");
        }
    }
}

fn a_second_request_does_not_put_it_off() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut running = recording(role, &["--kill-after", "0.4"], &file);
        wait_until("rinit to end", || {
            running.kill(libc::SIGTERM);
            thread::sleep(Duration::from_millis(40));
            (!running.is_running()).then_some(())
        });
        assert_eq!(running.exit_code(), 137, "{role:?}");
    }
}

fn orphans_and_signals_without_end_do_not_put_it_off() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let storm = temp.file("storm");
        let words = ["--kill-after", "0.4", &probe(), "inherit", "block:10,15", &probe(), "storm", &storm];
        let mut running = Running::start(role, &words, |command| command);
        wait_until("the storm", || fs::exists(&storm).unwrap().then_some(()));
        running.kill(libc::SIGTERM);
        wait_until("rinit to end", || {
            running.kill(libc::SIGUSR1);
            (!running.is_running()).then_some(())
        });
        assert_eq!(running.exit_code(), 137, "{role:?}");
    }
}

fn a_stopped_main_child_is_killed() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let mut running = recording(role, &["--kill-after", "0.1"], &temp.file("log"));
        let main_child = running.main_child();
        kill(main_child, libc::SIGSTOP);
        wait_until("it to stop", || (state(main_child) == Some('T')).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 137, "{role:?}");
    }
}

fn nobody_is_killed_for_a_main_child_that_has_ended() {
    // The time ends while rinit is stopped. The main child has ended by then, and is still to be reaped.
    let mut seconds = 1;
    while !is_found_to_have_ended_after(seconds) {
        seconds *= 4;
    }
}

/// Returns false if the machine is so busy that the time was over before rinit was stopped.
fn is_found_to_have_ended_after(seconds: u64) -> bool {
    let temp = TempDir::new();
    let [main, worker, name] = ["main", "worker", "dumb-init"].map(|name| temp.file(name));
    // Under this name rinit stops itself by SIGSTOP, after it has stopped the command.
    std::os::unix::fs::symlink(rinit(), &name).unwrap();
    let script = format!("{0} record {worker} 12 0 & exec {0} record {main} 12 4", probe());
    let mut command = program(&name);
    command.args(["--kill-after", &seconds.to_string(), "--grace", LONG, "sh", "-c", &script]);
    let mut running = Running::spawn(Role::Subreaper, &mut command);
    for file in [&main, &worker] {
        wait_until_ready(file);
    }
    let main_child = running.main_child();
    running.kill(libc::SIGTERM);
    running.kill(libc::SIGTSTP);
    wait_until("rinit to stop, or to end", || matches!(state(running.pid), None | Some('T' | 'Z')).then_some(()));
    wait_until("the main child to stop, or to end", || {
        matches!(state(main_child), None | Some('T' | 'Z')).then_some(())
    });
    if state(running.pid) != Some('T') || state(main_child) != Some('T') {
        return false;
    }
    kill(main_child, libc::SIGUSR2);
    kill(main_child, libc::SIGCONT);
    wait_until("the main child to end", || (state(main_child) == Some('Z')).then_some(()));
    thread::sleep(Duration::from_secs(seconds));
    running.kill(libc::SIGCONT);
    wait_until("the main child to be reaped", || (children(running.pid).len() == 1).then_some(()));
    wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
    assert!(!matches!(state(pid_of(&worker)), None | Some('Z')), "the worker was killed");
    kill(pid_of(&worker), libc::SIGUSR2);
    assert_eq!(running.exit_code(), 4);
    true
}

fn the_group_is_killed_or_the_main_child_alone_or_all() {
    // As a subreaper: what is left lives on when rinit has ended.
    for (options, worker_lives, daemon_lives) in
        [(&[][..], false, true), (&["-c"], true, true), (&["-a"], false, false)]
    {
        let temp = TempDir::new();
        let [main, worker, daemon] = ["main", "worker", "daemon"].map(|name| temp.file(name));
        let script = format!("{0} record-detached {daemon}; {0} record {worker} & exec {0} record {main}", probe());
        let words = [&["--kill-after", "0.1"], options, &["sh", "-c", &script]].concat();
        let mut running = Running::start(Role::Subreaper, &words, |command| command);
        for file in [&main, &worker, &daemon] {
            wait_until_ready(file);
        }
        let (worker, daemon) = (pid_of(&worker), pid_of(&daemon));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 137, "{options:?}");
        // The keeper of the namespace reaps them.
        let lives = |pid| !matches!(state(pid), None | Some('Z'));
        for (pid, expected) in [(worker, worker_lives), (daemon, daemon_lives)] {
            if expected {
                assert!(lives(pid), "{options:?}");
            } else {
                wait_until("it to be gone", || (!lives(pid)).then_some(()));
            }
        }
    }
}

fn the_grace_period_comes_after_it() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"]] {
            let temp = TempDir::new();
            let [main, daemon] = ["main", "daemon"].map(|name| temp.file(name));
            let script = format!(
                "setsid {0} flush {daemon} 100 & until [ -s {daemon} ]; do :; done; exec {0} record {main}",
                probe()
            );
            let words = [&["--kill-after", "0.1", "--grace", LONG], options, &["sh", "-c", &script]].concat();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 137, "{role:?} {options:?}");
            assert_eq!(fs::read_to_string(&daemon).unwrap(), "flushed\n", "{role:?} {options:?}");
        }
    }
}

fn with_wait_all_the_rest_is_waited_for() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let [main, daemon] = ["main", "daemon"].map(|name| temp.file(name));
        let script = format!("{0} record-detached {daemon}; exec {0} record {main}", probe());
        let words = ["--kill-after", "0.1", "--wait-all", "sh", "-c", &script];
        let mut running = Running::start(role, &words, |command| command);
        wait_until_ready(&main);
        wait_until_ready(&daemon);
        let daemon_pid = pid_of(&daemon);
        running.kill(libc::SIGTERM);
        wait_until("the main child to be killed", || (children(running.pid) == [daemon_pid]).then_some(()));
        wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
        kill(daemon_pid, libc::SIGKILL);
        assert_eq!(running.exit_code(), 137, "{role:?}");
    }
}

fn the_variable_is_the_option() {
    for value in ["0.1", "0.1s", "100ms"] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let words = [&probe(), "record", &file];
        let configure = |command: &mut std::process::Command| {
            command.env("RINIT_KILL_AFTER", value);
        };
        let mut command = command(&words);
        configure(&mut command);
        let mut running = Running::spawn_captured(Role::Pid1, &mut command);
        if value == "100ms" {
            // sleep(1) and timeout(1) have no such unit.
            assert_eq!(running.exit_code(), 125);
            let text = running.stderr();
            assert!(text.contains("RINIT_KILL_AFTER") && text.contains("100ms"), "{text}");
            continue;
        }
        wait_until_ready(&file);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 137, "{value}");
    }
}

fn what_is_no_duration_is_refused() {
    for value in ["-1", "inf", "nan", "x", "", "5 s", "1e400", "s"] {
        let outcome = run_with(Role::Pid1, &[&format!("--kill-after={value}"), "true"], |command| command);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (125, 1), "{value}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("--kill-after"), "{}", outcome.stderr);
        if !value.is_empty() {
            let outcome = run_with(Role::Pid1, &["true"], |command| command.env("RINIT_KILL_AFTER", value));
            assert_eq!((outcome.code, outcome.stderr.lines().count()), (125, 1), "{value}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("RINIT_KILL_AFTER"), "{}", outcome.stderr);
        }
    }
}

fn nginx_that_waits_for_a_request_is_killed() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let settings = nginx_settings(&temp, "off");
        let upstream = UnixListener::bind(temp.file("upstream")).unwrap();
        let words = ["--kill-after", "0.5", "nginx", "-p", &temp.file(""), "-c", &settings];
        let mut running = Running::spawn_captured(role, &mut command(&words));
        let mut client = wait_until("nginx to listen", || UnixStream::connect(temp.file("socket")).ok());
        // nginx asks the other server, which does not answer, and on SIGQUIT it finishes what it has begun.
        client.write_all(b"GET /slow HTTP/1.0\r\n\r\n").unwrap();
        let _request = upstream.accept().unwrap();
        running.kill(libc::SIGQUIT);
        assert_eq!(running.exit_code(), 137, "{role:?}: {}", running.stderr());
    }
}

fn no_time_is_no_time_limit() {
    // As for timeout(1).
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut running = recording(Role::Pid1, &["--kill-after", "0"], &file);
    running.kill(libc::SIGTERM);
    wait_until_recorded(&file, &["15 plain"]);
    wait_until("a wait without end", || crate::harness::is_waiting_without_deadline(running.pid).then_some(()));
    assert!(running.is_running());
}
