//! What the command finds around it under the original's name: its group, its session, and who else ends with it.

use std::fs;
use std::os::unix::process::CommandExt;

use super::who_receives::family;
use super::{Faults, init, original_and_rinit};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, count_recorded, is_waiting, kill, pid_of, probe, recorded_signals,
    rinit, run_to_end, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces, Program("tini"), Program("tini-static"), Program("docker-init"), Program("catatonit"), Program("dumb-init")];
    the_command_has_the_group_and_session_that_the_original_gives_it,
    the_command_inherits_blocked_and_ignored_signals_as_they_were,
    what_the_main_child_leaves_behind_gets_what_the_original_sends_it,
    an_option_for_what_is_left_replaces_what_dumb_init_sends_it,
    the_pause_of_catatonit_ends_on_the_same_signals,
    a_name_counts_with_any_directory_before_it,
    no_other_name_counts,
    rinits_own_variables_count_under_every_name,
}

/// Which of its group and its session are the command's own, or its init's.
fn group_and_session(role: Role, path: &str, variables: &str, options: &str) -> String {
    let temp = TempDir::new();
    let file = temp.file("facts");
    let outcome = run_to_end(role, init(path, variables, options).args(["--", &probe(), "facts", &file]));
    assert_eq!(outcome.code, 0, "{path} {options}: {}", outcome.stderr);
    let facts = fs::read_to_string(file).unwrap();
    let fact = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let whose = |id: &str| if *id == fact("pid ") { "its own" } else { "another" };
    format!("group {}, session {}", whose(&fact("group ")), whose(&fact("session ")))
}

fn the_command_has_the_group_and_session_that_the_original_gives_it() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for (name, variables, options) in [
        ("tini", "", ""),
        ("tini", "", "-g"),
        ("tini", "", "-s"),
        ("docker-init", "", ""),
        ("catatonit", "", ""),
        ("catatonit", "", "-g"),
        ("podman-init", "", ""),
        ("dumb-init", "", ""),
        ("dumb-init", "", "-c"),
        ("dumb-init", "DUMB_INIT_SETSID=0", ""),
        ("dumb-init", "DUMB_INIT_SETSID=1", ""),
    ] {
        for role in BOTH_ROLES {
            let [theirs, ours] =
                original_and_rinit(&temp, name).map(|path| group_and_session(role, &path, variables, options));
            let is_single = options == "-c" || variables == "DUMB_INIT_SETSID=0";
            let expected = "group its own, session another".to_owned();
            let difference = is_single.then_some((&expected, "in dumb-init's own group Ctrl-C arrives twice"));
            faults.compare(&format!("{variables} {name} {options} as {role:?}"), &theirs, &ours, difference);
        }
    }
    faults.check();
}

/// What an init does to them is a fault of its own, which nobody can want to keep.
fn the_command_inherits_blocked_and_ignored_signals_as_they_were() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    let states = |words: &[&str]| {
        let mut command = init(&probe(), "", "");
        let outcome = run_to_end(Role::Pid1, command.args(["inherit", "ignore:1,13;block:10,40"]).args(words));
        assert_eq!(outcome.code, 0, "{words:?}: {}", outcome.stderr);
        outcome.stdout
    };
    let without_an_init = states(&[&probe(), "state"]);
    for (name, fault) in [
        ("tini", None),
        ("docker-init", None),
        ("catatonit", Some("SIGTSTP, SIGTTIN and SIGTTOU are blocked there, so that nothing can be stopped")),
        ("dumb-init", Some("no signal is blocked or ignored there")),
    ] {
        let [theirs, ours] = original_and_rinit(&temp, name).map(|path| states(&[&path, "--", &probe(), "state"]));
        assert_eq!(ours, without_an_init, "{name}");
        faults.compare(name, &theirs, &ours, fault.map(|fault| (&without_an_init, fault)));
    }
    faults.check();
}

/// As PID 1 the kernel ends them all, whatever the init does.
fn what_the_main_child_leaves_behind_gets_what_the_original_sends_it() {
    let mut faults = Faults::default();
    for (name, options) in [
        ("tini", "-s"),
        ("tini", "-s -g"),
        ("catatonit", ""),
        ("catatonit", "-g"),
        ("dumb-init", ""),
        ("dumb-init", "-c"),
        ("dumb-init", "-r 15:10"),
        ("dumb-init", "-r 15:0"),
    ] {
        let temp = TempDir::new();
        let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
            let temp = TempDir::new();
            let [main, helper] = ["main", "helper"].map(|name| temp.file(name));
            let script = format!("{} 10 7", family(&[main.clone(), helper.clone()]));
            let mut command = init(&path, "", options);
            let mut running = Running::spawn_captured(Role::Subreaper, command.args(["--", "sh", "-c", &script]));
            for file in [&main, &helper] {
                wait_until_ready(file);
            }
            let (main, pid) = (pid_of(&main), pid_of(&helper));
            kill(main, 10);
            let code = running.exit_code();
            // Of its own, and the last one: it comes after all that the init sent before it ended.
            kill(pid, 64);
            wait_until("the helper to take it", || {
                recorded_signals(&helper).last().is_some_and(|line| line == "64 plain").then_some(())
            });
            (code, recorded_signals(&helper))
        });
        faults.compare(&format!("{name} {options}"), &theirs, &ours, None);
    }
    faults.check();
}

/// dumb-init sends SIGTERM to the group when the main child has ended. With one of rinit's own options, that option says
/// who is asked to end.
fn an_option_for_what_is_left_replaces_what_dumb_init_sends_it() {
    let temp = TempDir::new();
    let [_, path] = original_and_rinit(&temp, "dumb-init");
    for (role, variables, expected) in [
        (Role::Pid1, "RINIT_GRACE=1h", 1),
        (Role::Subreaper, "RINIT_GRACE=1h", 1),
        (Role::Pid1, "RINIT_WAIT_ALL=1", 0),
        (Role::Subreaper, "RINIT_WAIT_ALL=1", 0),
    ] {
        let [main, helper] = ["main", "helper"].map(|name| temp.file(&format!("{name} {role:?} {variables}")));
        let words = ["--", "sh", "-c", "\"$1\" record \"$3\" 12 0 & exec \"$1\" record \"$2\" 10 7", "sh"];
        let mut command = init(&path, variables, "");
        let mut running = Running::spawn(role, command.args(words).args([&probe(), &main, &helper]));
        for file in [&main, &helper] {
            wait_until_ready(file);
        }
        let main_child = running.main_child();
        kill(main_child, libc::SIGUSR1);
        wait_until("the main child to be reaped", || {
            (!children(running.pid).contains(&main_child) && is_waiting(running.pid)).then_some(())
        });
        kill(pid_of(&helper), 64);
        wait_until("the helper to take it", || {
            recorded_signals(&helper).contains(&"64 plain".to_owned()).then_some(())
        });
        assert_eq!(count_recorded(&helper, "15 plain"), expected, "{role:?} {variables}");
        kill(pid_of(&helper), libc::SIGUSR2);
        assert_eq!(running.exit_code(), 7);
    }
}

fn the_pause_of_catatonit_ends_on_the_same_signals() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for name in ["catatonit", "podman-init"] {
        for (signals, role) in
            [(&[15][..], Role::Pid1), (&[2], Role::Pid1), (&[1, 10, 20, 34, 15], Role::Pid1), (&[15], Role::Subreaper)]
        {
            let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
                let mut running = Running::spawn_captured(role, &mut init(&path, "", "-P"));
                running.wait_until_signals_are_blocked();
                for signal in signals {
                    running.kill(*signal);
                }
                running.exit_code()
            });
            faults.compare(&format!("{name} -P, {signals:?} as {role:?}"), &theirs, &ours, None);
        }
    }
    faults.check();
}

/// Whether the group hears of a signal, by the file's name and the name it is called by.
fn forwards_to_the_group(file: &str, called: &str, variables: &str) -> bool {
    let temp = TempDir::new();
    let [main, helper] = ["main", "helper"].map(|name| temp.file(name));
    let script = family(&[main.clone(), helper.clone()]);
    let mut command = init(file, variables, "");
    command.arg0(called).args(["--", "sh", "-c", &script]);
    let running = Running::spawn_captured(Role::Pid1, &mut command);
    for file in [&main, &helper] {
        wait_until_ready(file);
    }
    running.kill(10);
    // The main child gets it in any case, and who gets 64 has got what came before.
    wait_until("the main child to get it", || recorded_signals(&main).contains(&"10 plain".to_owned()).then_some(()));
    kill(pid_of(&helper), 64);
    wait_until("the helper to get 64", || recorded_signals(&helper).contains(&"64 plain".to_owned()).then_some(()));
    recorded_signals(&helper).contains(&"10 plain".to_owned())
}

fn a_name_counts_with_any_directory_before_it() {
    let temp = TempDir::new();
    let file = temp.copy(rinit(), "file");
    for called in ["tini", "/sbin/docker-init", "/run/podman-init", "./catatonit", "a/b/../tini-static", "//tini"] {
        assert!(!forwards_to_the_group(&file, called, ""), "{called}");
    }
    for called in ["dumb-init", "/usr/bin/dumb-init"] {
        assert!(forwards_to_the_group(&file, called, ""), "{called}");
    }
}

fn no_other_name_counts() {
    let temp = TempDir::new();
    // What the file is called does not matter, only what it was called by: argv[0], as the kernel passes it on.
    let file = temp.copy(rinit(), "tini");
    for called in ["rinit", "/rinit", "init", "tini2", "Tini", "my-tini", "tini/rinit", "tini/", ""] {
        assert!(forwards_to_the_group(&file, called, ""), "{called}");
    }
}

fn rinits_own_variables_count_under_every_name() {
    let temp = TempDir::new();
    let file = temp.copy(rinit(), "file");
    for (called, variables, expected) in [
        ("tini", "RINIT_KILL_PROCESS_GROUP=1", true),
        ("docker-init", "RINIT_KILL_PROCESS_GROUP=1", true),
        ("docker-init", "RINIT_KILL_PROCESS_GROUP=0", false),
        ("docker-init", "RINIT_ALL=1", true),
        ("podman-init", "RINIT_KILL_PROCESS_GROUP=1", true),
        ("dumb-init", "RINIT_SINGLE_CHILD=1", false),
        // Its own go first.
        ("tini", "RINIT_SINGLE_CHILD=1 TINI_KILL_PROCESS_GROUP=1", false),
        // Those of others are for others.
        ("rinit", "DUMB_INIT_SETSID=0", true),
        ("dumb-init", "TINI_KILL_PROCESS_GROUP=1 DUMB_INIT_SETSID=0", false),
    ] {
        assert_eq!(forwards_to_the_group(&file, called, variables), expected, "{variables} {called}");
    }
}
