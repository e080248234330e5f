//! Whoever comes from tini, dumb-init or catatonit changes the program's name, and nothing else: the command lines of
//! their manuals, given to each of them and to rinit under its name.

use std::os::unix::fs::symlink;

use crate::harness::{
    Role, Running, TempDir, probe, program, rinit, run_to_end, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces, Program("tini"), Program("dumb-init"), Program("catatonit")];
    their_command_lines_run_the_command_and_give_its_code,
    they_say_who_they_are_and_what_they_take,
    their_options_for_signals_mean_the_same,
    catatonits_pause_ends_with_0_on_either_signal,
    a_script_may_begin_with_it_as_with_dumb_init,
}

/// rinit under another's name, and that other itself.
fn both(temp: &TempDir, name: &str) -> [String; 2] {
    let (ours, theirs) = (temp.file(name), format!("/usr/bin/{name}"));
    // There already the second time.
    let _ = symlink(rinit(), &ours);
    [ours, theirs]
}

fn their_command_lines_run_the_command_and_give_its_code() {
    let temp = TempDir::new();
    for (name, options, code) in [
        ("tini", "--", 143),
        ("tini", "-s --", 143),
        ("tini", "-g --", 143),
        ("tini", "-w --", 143),
        // Harmless: the thread that starts it here is its parent, and ends.
        ("tini", "-p SIGCONT --", 143),
        ("tini", "-e 143 --", 0),
        ("tini", "-e 7 -e 143 --", 0),
        ("tini", "-vvv --", 143),
        ("tini", "-s -v -g -e 143 --", 0),
        ("tini", "-svge143 --", 0),
        ("dumb-init", "", 143),
        ("dumb-init", "--", 143),
        ("dumb-init", "-c", 143),
        ("dumb-init", "--single-child --", 143),
        ("dumb-init", "-v", 143),
        ("dumb-init", "--verbose --", 143),
        ("dumb-init", "-r 15:2 -c", 143),
        ("dumb-init", "--rewrite 15:3 --", 143),
        ("dumb-init", "--rewrite=15:3", 143),
        ("dumb-init", "-r 1:0 -r 2:15 --", 143),
        ("dumb-init", "-cvr 15:2", 143),
        ("catatonit", "--", 143),
        ("catatonit", "-g --", 143),
    ] {
        for path in both(&temp, name) {
            let words = options.split_ascii_whitespace().chain(["sh", "-c", "echo written; exit 143"]);
            let outcome = run_to_end(Role::Pid1, program(&path).args(words));
            assert_eq!(outcome.code, code, "{path} {options}: {}", outcome.stderr);
            // tini writes messages of its own there.
            assert!(outcome.stdout.contains("written\n"), "{path} {options}: {}", outcome.stdout);
        }
    }
}

fn they_say_who_they_are_and_what_they_take() {
    let temp = TempDir::new();
    for (name, options) in [
        ("tini", &["--version", "-h", "-l"][..]),
        ("dumb-init", &["--version", "-V", "--help", "-h"]),
        ("catatonit", &["--version", "-V", "-h", "-L"]),
    ] {
        for path in both(&temp, name) {
            for option in options {
                let outcome = run_to_end(Role::Pid1, program(&path).arg(option));
                assert_eq!(outcome.code, 0, "{path} {option}: {}", outcome.stderr);
                assert!(!(outcome.stdout + &outcome.stderr).is_empty(), "{path} {option}");
            }
        }
    }
}

fn their_options_for_signals_mean_the_same() {
    let temp = TempDir::new();
    // What is sent and what arrives for it; and the code, where the command ends with 143 on the last of it.
    for (name, options, signals, code) in [
        ("tini", "-s -v -g -e 143 --", &[(1, Some(1)), (15, Some(15))][..], 0),
        ("tini", "-g --", &[(10, Some(10)), (2, Some(2))], 143),
        ("dumb-init", "", &[(1, Some(1)), (15, Some(15))], 143),
        ("dumb-init", "-r 15:2 -c", &[(15, Some(2))], 143),
        ("dumb-init", "--rewrite 15:3 --", &[(10, Some(10)), (15, Some(3))], 143),
        ("dumb-init", "--rewrite 1:0 -r 15:2", &[(1, None), (15, Some(2))], 143),
        ("catatonit", "-g --", &[(10, Some(10)), (15, Some(15))], 143),
    ] {
        for path in both(&temp, name) {
            let file = temp.file("log");
            let _ = std::fs::remove_file(&file);
            let last = signals.last().and_then(|(_, last)| *last).unwrap_or(0).to_string();
            let command = [&probe(), "record", &file, &last, "143"];
            let words = options.split_ascii_whitespace().chain(command);
            let mut running = Running::spawn_captured(Role::Pid1, program(&path).args(words));
            wait_until_ready(&file);
            let mut expected = Vec::new();
            for (sent, arrives) in signals {
                running.kill(*sent);
                expected.extend(arrives.map(|number: i32| format!("{number} plain")));
                wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
            assert_eq!(running.exit_code(), code, "{path} {options}: {}", running.stderr());
        }
    }
}

fn catatonits_pause_ends_with_0_on_either_signal() {
    let temp = TempDir::new();
    for path in both(&temp, "catatonit") {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let mut running = Running::spawn_captured(Role::Pid1, program(&path).arg("-P"));
            running.wait_until_signals_are_blocked();
            running.kill(signal);
            assert_eq!(running.exit_code(), 0, "{path}: {}", running.stderr());
        }
    }
}

fn a_script_may_begin_with_it_as_with_dumb_init() {
    let temp = TempDir::new();
    for path in both(&temp, "dumb-init") {
        let script = temp.write("script", format!("#!{path} /bin/sh\nexit 7\n").as_bytes(), 0o755);
        assert_eq!(run_to_end(Role::Pid1, &mut program(&script)).code, 7, "{path}");
    }
}
