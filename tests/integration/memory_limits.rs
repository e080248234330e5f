//! No limit on memory ends rinit: once the command runs it asks for none.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use libc::pid_t;

use crate::harness::engine::Engine;
use crate::harness::trace::{HeldProcess, limit, start_of_command};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, command, count_recorded, is_waiting, pid_of, probe, program, queue, rinit,
    run_to_end, wait_until, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    no_option_needs_memory_once_the_command_runs,
    nothing_is_allocated_once_the_command_runs requires [Program("strace")],
    a_long_command_line_in_the_log_needs_no_memory,
    signals_for_thousands_of_descendants_need_no_memory,
    a_command_that_uses_all_memory_is_killed_and_mirrored requires [Docker],
    every_option_works_in_the_least_memory_that_docker_allows requires [Docker],
}

/// What limits memory: the address space, and what has been asked for in it.
const LIMITS: [(&str, libc::__rlimit_resource_t); 2] = [("AS", libc::RLIMIT_AS), ("DATA", libc::RLIMIT_DATA)];

/// From now on the process gets no memory any more: prlimit(2).
fn take_memory_away(pid: pid_t) {
    let none = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    for (_, resource) in LIMITS {
        // SAFETY: a plain structure, and null for the old limit.
        let result = unsafe { libc::prlimit(pid, resource, &none, std::ptr::null_mut()) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Every option that changes what rinit does while the command runs, alone and all together.
const OPTIONS: &[&[&str]] = &[
    &[],
    &["-c"],
    &["-a"],
    &["-w"],
    &["-vvv"],
    &["-r", "HUP:INT,40:41"],
    &["-e", "9"],
    &["-p", "WINCH"],
    &["--kill-after", "1h"],
    &["--grace", "1h"],
    &["-w", "-vvv", "--grace", "1h"],
    &["-a", "-w", "-vvv", "--grace", "1h", "--kill-after", "1h", "-e", "9", "-r", "HUP:INT"],
    &["-c", "-w", "-vvv", "--grace", "1h", "--wait-all", "--kill-after", "1h"],
];

fn no_option_needs_memory_once_the_command_runs() {
    for role in BOTH_ROLES {
        for options in OPTIONS {
            let temp = TempDir::new();
            let [main, worker, daemon] = ["main", "worker", "daemon"].map(|name| temp.file(name));
            let script = format!(
                "{0} record-detached {daemon}; {0} record {worker} 12 0 & exec {0} record {main} 12 4",
                probe()
            );
            let words = [options, &["sh", "-c", &script][..]].concat();
            let mut running = Running::spawn_captured(role, &mut command(&words));
            for file in [&main, &worker, &daemon] {
                wait_until_ready(file);
            }
            wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
            let others = [pid_of(&worker), pid_of(&daemon)];
            take_memory_away(running.pid);
            // Plain signals, queued ones, orphans, and the end.
            running.kill(libc::SIGUSR1);
            wait_until("a signal", || (count_recorded(&main, "10 plain") == 1).then_some(()));
            queue(running.pid, 42, 3);
            wait_until("queued signals", || (count_recorded(&main, "42 value 2") == 1).then_some(()));
            if options.contains(&"-a") {
                wait_until("a signal to all", || (count_recorded(&daemon, "42 value 2") == 1).then_some(()));
            }
            running.kill(libc::SIGUSR2);
            if options.contains(&"--grace") && !options.contains(&"--wait-all") {
                wait_until("it to be asked", || (count_recorded(&daemon, "15 plain") == 1).then_some(()));
            }
            if options.iter().any(|option| ["--grace", "--wait-all"].contains(option)) {
                // SAFETY: numbers only. The worker may have ended on SIGUSR2.
                others.into_iter().for_each(|pid| unsafe {
                    libc::kill(pid, libc::SIGKILL);
                });
            }
            assert_eq!(running.exit_code(), 4, "{role:?} {options:?}: {}", running.stderr());
        }
    }
}

/// These options, and one for a grace period where there is none.
fn with_grace(options: &[&'static str]) -> Vec<&'static str> {
    let grace: &[&str] = if options.contains(&"--grace") { &[] } else { &["--grace", "1h"] };
    [options, grace].concat()
}

fn nothing_is_allocated_once_the_command_runs() {
    for role in BOTH_ROLES {
        for options in OPTIONS {
            let temp = TempDir::new();
            let file = temp.file("done");
            let probe = probe();
            let words = [&with_grace(options)[..], &[&probe, "exercise", &file]].concat();
            let held = HeldProcess::new(role, &words, |command| command.stderr(Stdio::null()));
            let mut traced = held.traced(&[]);
            // A wait for all begins its grace period on SIGTERM.
            wait_until("the main child to be done", || fs::exists(&file).unwrap().then_some(()));
            wait_until("rinit to end", || {
                if options.contains(&"--wait-all") && traced.running.is_running() {
                    traced.running.kill(libc::SIGTERM);
                }
                (!traced.running.is_running()).then_some(())
            });
            assert_eq!(traced.running.exit_code(), 7);
            let trace = traced.trace();
            let calls = traced.calls();
            for call in &calls[start_of_command(&calls)..] {
                assert!(!["brk", "mmap", "mremap"].contains(&call.as_str()), "{role:?} {options:?}: {trace}");
            }
        }
    }
}

fn a_long_command_line_in_the_log_needs_no_memory() {
    let words: Vec<OsString> =
        (0..14).map(|_| OsString::from_vec(vec![1; 120_000])).chain([OsString::from("x")]).collect();
    // A build without optimisation is larger than the least of these limits.
    let own = (fs::metadata(rinit()).unwrap().len() >> 20).saturating_sub(1);
    for role in BOTH_ROLES {
        for (name, resource) in LIMITS {
            for mebibytes in [4, 6, 8, 12, 16, 20, 24].map(|mebibytes| mebibytes + own) {
                let run = |path: OsString, words: &[OsString]| {
                    let mut command = program(path);
                    limit(command.args(words).env("RINIT_LOG", "info"), resource, mebibytes << 20);
                    run_to_end(role, &mut command)
                };
                let below: Vec<OsString> = [&["exit".into(), "7".into()], &words[..]].concat();
                // Where the command itself can live, rinit can.
                assert_eq!(run(probe().into(), &below).code, 7, "{name} {mebibytes}");
                let outcome = run(rinit(), &[&[OsString::from("--"), probe().into()], &below[..]].concat());
                assert_eq!(outcome.code, 7, "{role:?} {name} {mebibytes} MiB");
                assert!(outcome.stderr.contains("exiting with 7"), "{role:?} {name} {mebibytes} MiB");
            }
        }
    }
}

fn signals_for_thousands_of_descendants_need_no_memory() {
    for options in [&["-a"][..], &["-a", "-vvv", "-w"], &["-a", "--grace", "1h"]] {
        let temp = TempDir::new();
        let [main, daemon, idle] = ["main", "daemon", "idle"].map(|name| temp.file(name));
        let script = format!(
            "{0} idle 2500 {idle} & until [ -s {idle} ]; do :; done; \
             {0} record-detached {daemon}; exec {0} record {main} 12 4",
            probe()
        );
        let words = [options, &["sh", "-c", &script]].concat();
        let mut running = Running::start(Role::Subreaper, &words, |command| command.stderr(Stdio::null()));
        wait_until_ready(&main);
        wait_until_ready(&daemon);
        wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
        take_memory_away(running.pid);
        running.kill(libc::SIGUSR1);
        for file in [&main, &daemon] {
            wait_until_recorded(file, &["10 plain"]);
        }
        queue(running.pid, 40, 2);
        for file in [&main, &daemon] {
            wait_until_recorded(file, &["10 plain", "40 value 0", "40 value 1"]);
        }
        let daemon_pid = pid_of(&daemon);
        // It ends the idle ones, too.
        running.kill(libc::SIGUSR2);
        if options.contains(&"--grace") {
            wait_until("the daemon to be asked", || (count_recorded(&daemon, "15 plain") == 1).then_some(()));
            crate::harness::kill(daemon_pid, libc::SIGKILL);
        }
        assert_eq!(running.exit_code(), 4, "{options:?}");
    }
}

/// The least memory that Docker allows.
const LEAST: &str = "6m";

fn a_command_that_uses_all_memory_is_killed_and_mirrored() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    for options in [&[][..], &["-a"], &["-w", "-vvv"], &["--grace", "1s"]] {
        let run = ["--memory", LEAST, "--memory-swap", LEAST, &image.name, "/rinit", "-v"];
        let outcome = docker.run_to_end(&[&run[..], options, &["/probe", "hoard-memory"]].concat());
        assert_eq!(outcome.code, 137, "{options:?}: {}", outcome.stderr);
        // rinit has seen it, and was not killed itself.
        assert!(outcome.stderr.contains("exiting with 137"), "{options:?}: {}", outcome.stderr);
    }
}

fn every_option_works_in_the_least_memory_that_docker_allows() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    for options in OPTIONS.iter().filter(|options| !options.contains(&"--wait-all")) {
        let run = ["--memory", LEAST, "--memory-swap", LEAST, &image.name, "/rinit"];
        let command = ["/probe", "exercise", "/done"];
        let outcome = docker.run_to_end(&[&run[..], &with_grace(options), &command].concat());
        assert_eq!(outcome.code, 7, "{options:?}: {}", outcome.stderr);
    }
}
