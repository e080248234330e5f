//! `--grace`: what the main child leaves behind may finish, and the exit code is still the main child's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::fs;

use common::{
    BOTH, Folder, Place, Running, command, kill, pid_of, probe, program, recorded, rinit, run, status_line, until,
    until_ready, until_recorded,
};

/// Longer than any test waits: what ends before that has not ended at the deadline.
const LONG: &str = "1h";

#[test]
fn a_straggler_finishes_what_it_does_and_nobody_waits_for_the_deadline() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("data");
        let script = format!("{} flush {file} 700 & until [ -s {file} ]; do :; done; exit 3", probe());
        let outcome = run(place, &["--grace", LONG, "sh", "-c", &script]);
        assert_eq!(outcome.code, 3, "{place:?}: {}", outcome.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n");
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn without_it_nobody_is_asked_or_waited_for() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        assert_eq!(run(place, &["sh", "-c", &script]).code, 3);
        assert!(recorded(&file).is_empty());
    }
}

#[test]
fn an_empty_container_is_left_at_once() {
    for place in BOTH {
        let outcome = run(place, &["-v", "--grace", LONG, "sh", "-c", "exit 3"]);
        assert_eq!(outcome.code, 3);
        assert!(!outcome.stderr.contains("left processes behind"), "{}", outcome.stderr);
    }
}

#[test]
fn who_ignores_sigterm_is_killed_at_the_deadline() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        let mut running = Running::captured(place, &mut command(&["--grace", "0.3", "sh", "-c", &script]));
        assert_eq!(running.exit_code(), 3);
        // As it pleased: nobody else sent it anything, and SIGKILL came last.
        let mut got = recorded(&file);
        got.sort();
        assert_eq!(got, ["15 plain", "18 plain"], "{place:?}");
        assert!(running.stderr().contains("killing what is left"), "{}", running.stderr());
        if place == Place::Outside {
            // As PID 1 rinit's own end is everybody's.
            until("the straggler to be gone", || pid_if_there(&file).is_none().then_some(()));
        }
    }
}

/// Whether a probe that records into this file lives.
fn pid_if_there(file: &str) -> Option<()> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        command.split(|byte| *byte == 0).any(|word| word == file.as_bytes()).then_some(())
    })
}

#[test]
fn who_is_stopped_is_woken_to_finish() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("data");
        let script = format!("{} flush {file} 0 & until [ -s {file} ]; do :; done; kill -STOP $!; exit 3", probe());
        assert_eq!(run(place, &["--grace", LONG, "sh", "-c", &script]).code, 3);
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n", "{place:?}");
    }
}

#[test]
fn signals_reach_all_that_is_left_meanwhile() {
    for place in BOTH {
        let folder = Folder::new();
        let (first, second) = (folder.file("first"), folder.file("second"));
        // One in the main child's group, one with a session of its own.
        let script = format!(
            "{0} record {first} 12 0 & {0} record-detached {second}; \
             until [ -s {first} ] && [ -s {second} ]; do :; done; exit 3",
            probe()
        );
        let mut running = Running::start(place, &["--grace", LONG, "-r", "HUP:USR1", "sh", "-c", &script], |c| c);
        until("both to be asked", || (recorded(&first).len() + recorded(&second).len() == 4).then_some(()));
        assert!(running.lives());
        running.kill(libc::SIGHUP);
        for file in [&first, &second] {
            until(&format!("{file} to get it"), || recorded(file).contains(&"10 plain".to_owned()).then_some(()));
        }
        running.kill(libc::SIGUSR2);
        until("the second to get it", || recorded(&second).contains(&"12 plain".to_owned()).then_some(()));
        // The first has ended by that; the second is the last that rinit waits for.
        assert!(running.lives());
        kill(pid_of(&second), libc::SIGKILL);
        assert_eq!(running.exit_code(), 3, "{place:?}");
    }
}

#[test]
fn as_subreaper_only_descendants_are_touched() {
    let folder = Folder::new();
    let (bystander, straggler) = (folder.file("bystander"), folder.file("straggler"));
    let script = format!(
        "{0} record {bystander} & \
         {1} --grace 0.3 sh -c '{0} record {straggler} & until [ -s {straggler} ]; do :; done; exit 3'; echo $?; wait",
        probe(),
        rinit().to_str().unwrap()
    );
    let running = Running::captured(Place::Outside, program("/bin/sh").args(["-c", &script]));
    until("rinit's exit code", || running.stdout().contains('3').then_some(()));
    assert!(recorded(&straggler).contains(&"15 plain".to_owned()));
    until_ready(&bystander);
    kill(pid_of(&bystander), libc::SIGUSR2);
    until_recorded(&bystander, &["12 plain"]);
}

#[test]
fn a_grandchild_that_is_born_while_its_parent_ends_is_reached() {
    let folder = Folder::new();
    let file = folder.file("log");
    // On SIGTERM the parent starts one more, in a session of its own, and ends.
    let script = format!("{} bequeath {file} & until [ -s {file} ]; do :; done; exit 3", probe());
    let mut running = Running::start(Place::Outside, &["--grace", LONG, "sh", "-c", &script], |command| command);
    until("the late one to be asked", || recorded(&file).contains(&"15 plain".to_owned()).then_some(()));
    assert_eq!(status_line(pid_of(&file), "PPid").unwrap(), running.pid.to_string());
    assert!(running.lives());
    kill(pid_of(&file), libc::SIGKILL);
    assert_eq!(running.exit_code(), 3);
}

#[test]
fn the_wait_for_stragglers_is_one_call_with_a_deadline() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        let running = Running::start(place, &["--grace", LONG, "sh", "-c", &script], |command| command);
        until("the straggler to be asked", || (recorded(&file).len() == 2).then_some(()));
        until("the wait", || common::is_waiting(running.pid).then_some(()));
        let switches = || status_line(running.pid, "voluntary_ctxt_switches");
        let before = switches();
        // Whatever else happens on the machine meanwhile, rinit stays where it is.
        kill(pid_of(&file), libc::SIGUSR1);
        until("something to happen", || (recorded(&file).len() == 3).then_some(()));
        assert_eq!(switches(), before);
    }
}
