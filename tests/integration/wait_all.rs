//! `--wait-all`: rinit stays until no process is left, asks nobody to end, and exits with the main child's code.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::harness::trace::HeldProcess;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, count_recorded, in_pid_namespace_of, is_waiting,
    is_waiting_without_deadline, kill, nginx_settings, pid_of, probe, recorded_signals, run, run_with, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_command_that_daemonises_itself_is_waited_for,
    nobody_is_asked_to_end_and_there_is_no_deadline,
    every_signal_goes_to_all_that_is_left,
    with_a_grace_period_sigterm_starts_its_clock,
    another_signal_than_sigterm_starts_no_clock,
    who_joined_from_outside_is_waited_for_as_well,
    who_joined_from_outside_holds_nobody_up_if_its_end_cannot_be_watched requires [Program("strace")],
    children_that_cannot_be_waited_for_hold_nobody_up requires [Program("strace")],
    orphans_of_the_daemon_are_reaped_meanwhile,
    the_code_is_the_main_childs_however_it_ended,
    the_variable_is_the_option,
    nginx_in_the_background_serves_and_is_stopped requires [Program("nginx")],
}

/// A command that leaves a recorder behind, in a session of its own, and exits with 3.
fn daemonising(file: &str) -> String {
    format!("{} record-detached {file}; until [ -s {file} ]; do :; done; exit 3", probe())
}

fn wait_until_main_child_ended(running: &Running, file: &str) {
    wait_until_ready(file);
    let daemon = pid_of(file);
    wait_until("the main child to be reaped", || {
        (children(running.pid) == [daemon] && is_waiting(running.pid)).then_some(())
    });
}

/// Waits until these two recorders are all that rinit has.
fn wait_until_left(running: &Running, files: [&str; 2]) {
    files.into_iter().for_each(wait_until_ready);
    let mut left = files.map(pid_of);
    left.sort_unstable();
    wait_until("the main child to be reaped", || {
        let mut children = children(running.pid);
        children.sort_unstable();
        (children == left && is_waiting_without_deadline(running.pid)).then_some(())
    });
}

fn a_command_that_daemonises_itself_is_waited_for() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("served");
        let script = format!("(setsid sh -c 'sleep 0.3; echo served > {file}' &); exit 3");
        let outcome = run(role, &["--wait-all", "sh", "-c", &script]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (3, ""), "{role:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "served\n", "{role:?}");
    }
}

fn nobody_is_asked_to_end_and_there_is_no_deadline() {
    for role in BOTH_ROLES {
        // A grace period has no clock before SIGTERM.
        for options in [&["--wait-all"][..], &["--wait-all", "--grace", "0.05"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = daemonising(&file);
            let words = [options, &["sh", "-c", &script]].concat();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_main_child_ended(&running, &file);
            wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
            assert_eq!(recorded_signals(&file), Vec::<String>::new(), "{role:?} {options:?}");
            kill(pid_of(&file), libc::SIGKILL);
            assert_eq!(running.exit_code(), 3);
        }
    }
}

fn every_signal_goes_to_all_that_is_left() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"], &["-r", "HUP:USR1"]] {
            let temp = TempDir::new();
            let (first, second) = (temp.file("first"), temp.file("second"));
            let script = format!("{0} record {first} 12 0 & {1}", probe(), daemonising(&second));
            let words = [&["--wait-all"], options, &["sh", "-c", &script]].concat();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_left(&running, [&first, &second]);
            let (sent, got) = if options.len() == 2 { (libc::SIGHUP, "10 plain") } else { (libc::SIGTERM, "15 plain") };
            running.kill(sent);
            for file in [&first, &second] {
                wait_until_recorded(file, &[got]);
            }
            crate::harness::queue(running.pid, 40, 1);
            for file in [&first, &second] {
                wait_until_recorded(file, &[got, "40 value 0"]);
            }
            // Without a grace period SIGTERM starts no clock.
            wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
            running.kill(libc::SIGUSR2);
            wait_until_recorded(&second, &[got, "40 value 0", "12 plain"]);
            kill(pid_of(&second), libc::SIGKILL);
            assert_eq!(running.exit_code(), 3, "{role:?} {options:?}");
        }
    }
}

fn with_a_grace_period_sigterm_starts_its_clock() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, other) = (temp.file("log"), temp.file("other"));
        let script = format!("{} record {other} & {}", probe(), daemonising(&file));
        let mut running = Running::start(role, &["--wait-all", "--grace", "0.3", "sh", "-c", &script], |c| c);
        wait_until_left(&running, [&file, &other]);
        // Neither ends on SIGTERM: at the deadline they are killed.
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 3, "{role:?}");
        for file in [&file, &other] {
            // On a busy machine it may have had no time to take it.
            assert!(count_recorded(file, "15 plain") <= 1, "{role:?}: {:?}", recorded_signals(file));
        }
    }
}

fn another_signal_than_sigterm_starts_no_clock() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut running =
            Running::start(role, &["--wait-all", "--grace", "0.05", "sh", "-c", &daemonising(&file)], |c| c);
        wait_until_main_child_ended(&running, &file);
        running.kill(libc::SIGHUP);
        wait_until_recorded(&file, &["1 plain"]);
        wait_until("a wait without end", || is_waiting_without_deadline(running.pid).then_some(()));
        kill(pid_of(&file), libc::SIGKILL);
        assert_eq!(running.exit_code(), 3, "{role:?}");
    }
}

fn who_joined_from_outside_is_waited_for_as_well() {
    let temp = TempDir::new();
    let (file, log) = (temp.file("go"), temp.file("log"));
    let script = format!("until [ -s {file} ]; do :; done; exit 3");
    let mut running = Running::start(Role::Pid1, &["--wait-all", "sh", "-c", &script], |command| command);
    let main_child = running.main_child();
    let mut recorder = in_pid_namespace_of(running.pid).args([&probe(), "record", &log, "12", "0"]).spawn().unwrap();
    wait_until_ready(&log);
    fs::write(&file, "go").unwrap();
    wait_until("the main child to be reaped", || {
        (!children(running.pid).contains(&main_child) && crate::harness::state(running.pid) == Some('S')).then_some(())
    });
    assert!(running.is_running() && recorded_signals(&log).is_empty());
    running.kill(libc::SIGUSR1);
    wait_until("the signal", || (count_recorded(&log, "10 plain") == 1).then_some(()));
    running.kill(libc::SIGUSR2);
    assert!(recorder.wait().unwrap().success());
    assert_eq!(running.exit_code(), 3);
}

fn who_joined_from_outside_holds_nobody_up_if_its_end_cannot_be_watched() {
    for fault in ["pidfd_open:error=EPERM", "signalfd4:error=EPERM", "ppoll:error=ENOMEM:when=1", "ppoll:error=ENOMEM"]
    {
        println!("{fault}");
        let temp = TempDir::new();
        let (file, log) = (temp.file("go"), temp.file("log"));
        let script = format!("until [ -s {file} ]; do :; done; exit 3");
        let held = HeldProcess::new(Role::Pid1, &["--wait-all", "sh", "-c", &script], |command| command);
        let mut traced = held.traced(&["-e", "trace=ppoll,pidfd_open,signalfd4", "-e", &format!("inject={fault}")]);
        let main_child = wait_until("the command", || children(traced.pid).first().copied());
        let mut recorder = in_pid_namespace_of(traced.pid).args([&probe(), "record", &log, "12", "0"]).spawn().unwrap();
        wait_until_ready(&log);
        fs::write(&file, "go").unwrap();
        let call = fault.split_once(':').unwrap().0;
        wait_until("rinit to try to watch", || {
            (!children(traced.pid).contains(&main_child) && traced.calls().iter().any(|name| name == call))
                .then_some(())
        });
        traced.running.kill(libc::SIGUSR1);
        wait_until("the signal", || (count_recorded(&log, "10 plain") == 1).then_some(()));
        traced.running.kill(libc::SIGUSR2);
        assert!(recorder.wait().unwrap().success());
        assert_eq!(traced.running.exit_code(), 3, "{fault}");
    }
}

fn children_that_cannot_be_waited_for_hold_nobody_up() {
    for role in BOTH_ROLES {
        for error in ["ECHILD", "EPERM"] {
            let held = HeldProcess::new(role, &["--wait-all", "sh", "-c", "exit 3"], |command| command);
            let inject = format!("inject=wait4,waitid:error={error}");
            let mut traced = held.traced(&["-e", "trace=wait4,waitid", "-e", &inject]);
            assert_eq!(traced.running.exit_code(), 125, "{role:?} {error}");
        }
    }
}

fn orphans_of_the_daemon_are_reaped_meanwhile() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("(setsid sh -c '{0} orphans 100; exec {0} record {file} 12 0' &); exit 3", probe());
        let mut running = Running::start(role, &["--wait-all", "sh", "-c", &script], |command| command);
        wait_until_main_child_ended(&running, &file);
        kill(pid_of(&file), libc::SIGUSR2);
        assert_eq!(running.exit_code(), 3, "{role:?}");
    }
}

fn the_code_is_the_main_childs_however_it_ended() {
    for role in BOTH_ROLES {
        for (options, end, code) in
            [(&[][..], "kill -9 $$", 137), (&["-e", "143"], "kill -15 $$", 0), (&[], "exit 0", 0)]
        {
            let script = format!("({} wait 50 &); {end}", probe());
            let words = [&["--wait-all"], options, &["sh", "-c", &script]].concat();
            assert_eq!(run(role, &words).code, code, "{role:?} {end}");
        }
    }
}

fn the_variable_is_the_option() {
    for (value, waits) in
        [("1", true), ("true", true), ("yes", true), ("on", true), ("", false), ("0", false), ("off", false)]
    {
        let temp = TempDir::new();
        let file = temp.file("done");
        let script = format!("({0} flush-later {file} 200 &); exit 3", probe());
        let outcome = run_with(Role::Pid1, &["sh", "-c", &script], |command| command.env("RINIT_WAIT_ALL", value));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (3, ""), "{value}");
        assert_eq!(fs::exists(&file).unwrap(), waits, "{value}");
    }
    let outcome = run_with(Role::Pid1, &["true"], |command| command.env("RINIT_WAIT_ALL", "maybe"));
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (125, 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("RINIT_WAIT_ALL") && outcome.stderr.contains("maybe"), "{}", outcome.stderr);
}

fn nginx_in_the_background_serves_and_is_stopped() {
    for role in BOTH_ROLES {
        for (options, signal) in
            [(&[][..], libc::SIGQUIT), (&["--grace", "1h"], libc::SIGTERM), (&["-c"], libc::SIGTERM)]
        {
            let temp = TempDir::new();
            let (settings, place) = (nginx_settings(&temp, "on"), temp.file(""));
            let words = [&["--wait-all"], options, &["nginx", "-p", &place, "-c", &settings]].concat();
            let mut running = Running::spawn_captured(role, &mut command(&words));
            let request = || {
                let mut stream = UnixStream::connect(temp.file("socket")).ok()?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).ok()?;
                answer.ends_with("served\n").then_some(())
            };
            wait_until("nginx to be a daemon", || {
                let master = fs::read_to_string(temp.file("pid")).ok().filter(|pid| !pid.is_empty())?;
                // The one that was started has ended; the master is rinit's child.
                let children = children(running.pid);
                let own = crate::harness::status_line(*children.first()?, "NSpid")?;
                (children.len() == 1 && own.split_ascii_whitespace().next_back() == Some(master.trim())).then_some(())
            });
            wait_until("an answer", request);
            assert!(running.is_running());
            running.kill(signal);
            assert_eq!(running.exit_code(), 0, "{role:?}: {}", running.stderr());
            assert!(request().is_none());
        }
    }
}
