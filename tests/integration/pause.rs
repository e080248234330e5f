//! `--pause`: PID 1 of a PID namespace that others share, the pause container of a pod. It reaps for all of them.

use std::fs;
use std::process::Stdio;

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, forwarded_signals, in_pid_namespace_of, is_waiting, kill,
    probe, run, status_line, wait_until,
};

tests! {
    requires [Namespaces];
    the_orphans_of_all_who_share_the_namespace_are_reaped,
    orphans_are_reaped_during_a_storm,
    it_exits_with_0_on_sigterm_and_sigint_from_the_first_instant_on,
    a_rewrite_does_not_make_it_deaf,
    no_other_signal_ends_it,
    an_ignored_sigterm_ends_it_too,
    it_keeps_only_stderr_and_no_directory,
    it_waits_without_end_and_never_wakes,
    what_the_pod_has_left_gets_its_grace,
    it_is_refused_with_a_command_and_with_another_mode,
}

/// rinit without a command, waiting.
fn pausing(role: Role, options: &[&str]) -> Running {
    let running = Running::start(role, options, |command| command);
    wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
    running
}

/// Runs a program to its end, as a container of the pod would.
fn enter(running: &Running, words: &[&str]) {
    let output = in_pid_namespace_of(running.pid).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn the_orphans_of_all_who_share_the_namespace_are_reaped() {
    let mut running = pausing(Role::Pid1, &["--pause"]);
    for _ in 0..5 {
        enter(&running, &[&probe(), "orphans", "100"]);
        enter(&running, &["sh", "-c", "sleep 0 & sleep 0 & (true &)"]);
    }
    wait_until("all to be reaped", || children(running.pid).is_empty().then_some(()));
    assert!(running.is_running());
}

fn orphans_are_reaped_during_a_storm() {
    let temp = TempDir::new();
    let file = temp.file("storm");
    let running = pausing(Role::Pid1, &["-P"]);
    let mut storm = in_pid_namespace_of(running.pid).args([&probe(), "storm", &file]).spawn().unwrap();
    let made = || fs::read_to_string(&file).ok()?.parse::<u32>().ok();
    wait_until("2000 orphans", || made().filter(|made| *made >= 2000));
    // nsenter's child is the storm.
    kill(children(storm.id() as i32)[0], libc::SIGKILL);
    storm.wait().unwrap();
    wait_until("all to be reaped", || children(running.pid).is_empty().then_some(()));
}

fn it_exits_with_0_on_sigterm_and_sigint_from_the_first_instant_on() {
    for role in BOTH_ROLES {
        for option in ["--pause", "-P"] {
            for signal in [libc::SIGTERM, libc::SIGINT] {
                let mut running = pausing(role, &[option]);
                running.kill(signal);
                assert_eq!(running.exit_code(), 0);
                for _ in 0..20 {
                    let mut running = Running::spawn(role, command(&[option]).stderr(Stdio::null()));
                    running.wait_until_signals_are_blocked();
                    running.kill(signal);
                    assert_eq!(running.exit_code(), 0);
                }
            }
        }
    }
}

fn a_rewrite_does_not_make_it_deaf() {
    for rules in ["TERM:none", "TERM:QUIT"] {
        let mut running = pausing(Role::Pid1, &["--pause", "--rewrite", rules]);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
    }
}

fn no_other_signal_ends_it() {
    for role in BOTH_ROLES {
        let mut running = pausing(role, &["--pause"]);
        for signal in forwarded_signals().filter(|signal| ![libc::SIGTERM, libc::SIGINT].contains(signal)) {
            running.kill(signal);
            let is_taken = || {
                let pending = status_line(running.pid, "ShdPnd")?;
                (pending.chars().all(|digit| digit == '0') && is_waiting(running.pid)).then_some(())
            };
            wait_until("it to be taken", is_taken);
            assert!(running.is_running(), "{signal}");
        }
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
    }
}

fn an_ignored_sigterm_ends_it_too() {
    // podman ignores it, among others, before it becomes the pause process of a user's containers.
    for role in BOTH_ROLES {
        let mut command = crate::harness::program(probe());
        command.args(["inherit", "ignore:1,2,3,13,14,15", crate::harness::rinit().to_str().unwrap(), "-P"]);
        let mut running = Running::spawn(role, &mut command);
        wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
        running.kill(libc::SIGHUP);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
    }
}

fn it_keeps_only_stderr_and_no_directory() {
    let temp = TempDir::new();
    let file = fs::File::create(temp.file("open")).unwrap();
    for role in BOTH_ROLES {
        let running = Running::start(role, &["--pause"], |command| {
            command.current_dir(temp.path()).stdin(file.try_clone().unwrap()).stdout(file.try_clone().unwrap())
        });
        wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
        let descriptors = fs::read_dir(format!("/proc/{}/fd", running.pid)).unwrap();
        let descriptors: Vec<_> = descriptors.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(descriptors, ["2"]);
        assert_eq!(fs::read_link(format!("/proc/{}/cwd", running.pid)).unwrap().to_str(), Some("/"));
    }
}

fn it_waits_without_end_and_never_wakes() {
    for role in BOTH_ROLES {
        let running = pausing(role, &["--pause"]);
        // The number and arguments of the call it is in: proc(5). The third is how long rt_sigtimedwait(2) waits.
        let call = fs::read_to_string(format!("/proc/{}/syscall", running.pid)).unwrap();
        let words: Vec<&str> = call.split_ascii_whitespace().collect();
        assert_eq!((words[0], words[3]), (libc::SYS_rt_sigtimedwait.to_string().as_str(), "0x0"), "{call}");
        assert_eq!(fs::read_dir(format!("/proc/{}/task", running.pid)).unwrap().count(), 1, "one thread");
    }
}

fn what_the_pod_has_left_gets_its_grace() {
    let temp = TempDir::new();
    let mut running = pausing(Role::Pid1, &["--pause", "--grace", "1h"]);
    let servers: Vec<_> = ["300", "20", "100"]
        .into_iter()
        .map(|milliseconds| {
            let file = temp.file(milliseconds);
            let server =
                in_pid_namespace_of(running.pid).args([&probe(), "flush", &file, milliseconds]).spawn().unwrap();
            wait_until("the server", || fs::read_to_string(&file).ok().filter(|text| text == "ready\n"));
            (server, file)
        })
        .collect();
    running.kill(libc::SIGTERM);
    for (mut server, file) in servers {
        assert!(server.wait().unwrap().success());
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n");
    }
    // Not at the deadline.
    assert_eq!(running.exit_code(), 0);
}

fn it_is_refused_with_a_command_and_with_another_mode() {
    for words in
        [&["--pause", "true"][..], &["-P", "--", "true"], &["--pause", "--zombies"], &["-P", "--install", "/x"]]
    {
        let outcome = run(Role::Pid1, words);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (125, 1), "{words:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("--pause"), "{}", outcome.stderr);
    }
}
