//! What a terminal sends, and what a command finds of it: keys, a hang-up, a new size.

use crate::harness::pty::{BASH, CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, DASH, Session, group_of};
use crate::harness::shell::wait_until_stopped;
use crate::harness::{
    BOTH_ROLES, Role, TempDir, children, command, kill, open_descriptors, probe, program, rinit, run_to_end, state,
    wait_until, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    the_command_is_in_the_foreground,
    ctrl_c_gives_130_and_ctrl_backslash_131,
    keys_arrive_once,
    ctrl_z_does_not_freeze_a_command_that_nobody_could_resume,
    hanging_up_ends_the_command,
    a_new_window_size_arrives_once,
    without_a_terminal_two_system_calls_find_out requires [Program("strace")],
    ctrl_z_before_the_command_has_started_is_no_different requires [Program("strace")],
    ctrl_z_between_the_hand_over_and_the_exec_is_for_the_command requires [Program("strace")],
    of_the_inherited_descriptors_only_stderr_stays_beside_the_terminal,
}

fn the_command_is_in_the_foreground() {
    let probe = probe();
    for role in BOTH_ROLES {
        let session = Session::start(role, command(&[&probe, "hold"]));
        let command = session.command();
        assert_ne!(group_of(command), group_of(session.leader.pid));
    }
    for shell in [BASH, DASH] {
        let mut session = Session::shell(shell);
        session.run_rinit("$PROBE hold");
        let (rinit, command) = session.job();
        assert_ne!(group_of(command), group_of(rinit));
    }
}

fn ctrl_c_gives_130_and_ctrl_backslash_131() {
    for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
        for role in BOTH_ROLES {
            let mut session = Session::start(role, command(&[&probe(), "hold"]));
            session.command();
            session.press(key);
            assert_eq!(session.leader.exit_code(), code);
        }
        for shell in [BASH, DASH] {
            let mut session = Session::shell(shell);
            session.run_rinit("$PROBE hold");
            session.new_job();
            session.press(key);
            session.prompt();
            session.line("echo code=$?.");
            session.expect(&format!("code={code}."));
        }
    }
}

fn keys_arrive_once() {
    for (key, number) in [(CTRL_C, 2), (CTRL_BACKSLASH, 3), (CTRL_Z, 20)] {
        let expected = [&*format!("{number} plain"), "40 plain"];
        for role in BOTH_ROLES {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut session = Session::start(role, command(&[&*probe(), "record", &file]));
            wait_until_ready(&file);
            session.command();
            session.press(key);
            wait_until_recorded(&file, &expected[..1]);
            // Through rinit, which takes a signal with a lower number first: a second one would come before it.
            session.leader.kill(40);
            wait_until_recorded(&file, &expected);
        }
        for options in ["", "-c ", "-a "] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut session = Session::shell(BASH);
            session.run_rinit(&format!("{options}$PROBE record {file}"));
            wait_until_ready(&file);
            let (rinit, _) = session.new_job();
            session.press(key);
            wait_until_recorded(&file, &expected[..1]);
            kill(rinit, 40);
            wait_until_recorded(&file, &expected);
        }
    }
}

fn ctrl_z_does_not_freeze_a_command_that_nobody_could_resume() {
    // As PID 1, and as the leader of a session without a shell: tmux, ssh, docker exec.
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"], &["-vvv", "-w"]] {
            let words: Vec<&str> = options.iter().copied().chain(["cat"]).collect();
            let mut session = Session::start(role, command(&words));
            let command = session.command();
            for round in 0..10 {
                session.press(CTRL_Z);
                session.says(&format!("round {round}"));
            }
            wait_until_stopped(command, false);
            assert_eq!(session.foreground(), group_of(command));
            session.press(CTRL_D);
            assert_eq!(session.leader.exit_code(), 0);
        }
    }
}

fn hanging_up_ends_the_command() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut session = Session::start(role, command(&[&*probe(), "record", &file, "18", "7"]));
        wait_until_ready(&file);
        session.command();
        session.hang_up();
        // Both come from the kernel to the session's leader: each once.
        wait_until_recorded(&file, &["1 plain", "18 plain"]);
        assert_eq!(session.leader.exit_code(), 7);

        let mut session = Session::start(role, command(&["cat"]));
        session.command();
        session.hang_up();
        assert!([0, 1, 129].contains(&session.leader.exit_code()), "cat ends by SIGHUP, end-of-file or EIO");
    }
    let mut session = Session::shell(BASH);
    session.run_rinit("$PROBE hold");
    let (rinit, command) = session.new_job();
    session.hang_up();
    for pid in [command, rinit] {
        wait_until("the job to end", || state(pid).is_none_or(|state| state == 'Z').then_some(()));
    }
}

fn a_new_window_size_arrives_once() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let session = Session::start(role, command(&[&*probe(), "record", &file]));
        wait_until_ready(&file);
        session.command();
        session.resize(33, 101);
        wait_until_recorded(&file, &["28 plain"]);
        session.leader.kill(40);
        wait_until_recorded(&file, &["28 plain", "40 plain"]);
    }
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut session = Session::shell(BASH);
    session.run_rinit(&format!("$PROBE record {file}"));
    wait_until_ready(&file);
    let (rinit, _) = session.new_job();
    session.resize(33, 101);
    wait_until_recorded(&file, &["28 plain"]);
    kill(rinit, 40);
    wait_until_recorded(&file, &["28 plain", "40 plain"]);
}

fn without_a_terminal_two_system_calls_find_out() {
    let temp = TempDir::new();
    let trace = temp.file("trace");
    let mut strace = program("strace");
    // setsid(1) leaves the terminal, if the tests have one.
    strace.args(["-o", &trace, "setsid", "--wait"]).arg(rinit()).arg("true");
    assert_eq!(run_to_end(Role::Subreaper, &mut strace).code, 0);
    let trace = std::fs::read_to_string(trace).unwrap();
    let own = trace.rsplit_once("execve(").unwrap().1;
    let about_terminal = |line: &&str| line.contains("/dev/tty") || line.contains("ioctl(") || line.contains("pgrp");
    let calls: Vec<_> = own.lines().filter(about_terminal).collect();
    // To open it, and to acquire the one at standard input.
    assert_eq!(calls.len(), 2, "{calls:#?}");
}

fn ctrl_z_before_the_command_has_started_is_no_different() {
    for role in BOTH_ROLES {
        // HeldProcess up before the hand-over, which is the child's work. strace's own processes are elsewhere.
        let mut strace = program("strace");
        strace.args(["-DDD", "-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:delay_enter=500000"]);
        strace.arg(rinit()).arg("cat");
        let mut session = Session::start(role, strace);
        session.leader.wait_until_signals_are_blocked();
        session.press(CTRL_Z);
        session.says("hello");
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn ctrl_z_between_the_hand_over_and_the_exec_is_for_the_command() {
    for role in BOTH_ROLES {
        // Held up after the hand-over, in the child. If that is over already, the command gets the signal by itself.
        let mut strace = program("strace");
        strace.args(["-DDD", "-f", "-o", "/dev/null", "-e", "trace=sched_getattr"]);
        strace.args(["-e", "inject=sched_getattr:delay_enter=500000"]).arg(rinit()).args(["-vv", "cat"]);
        let mut session = Session::start(role, strace);
        let leader = session.leader.pid;
        // As PID 1 rinit has strace as a child, too.
        wait_until("the hand-over", || {
            let foreground = session.foreground();
            (foreground != group_of(leader) && children(leader).contains(&foreground)).then_some(())
        });
        session.press(CTRL_Z);
        session.expect("was stopped by SIGTSTP");
        session.says("hello");
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn of_the_inherited_descriptors_only_stderr_stays_beside_the_terminal() {
    for (inherited, terminal) in [("", 3), ("3</dev/null", 4), ("3</dev/null 4</dev/null 6</dev/null", 5)] {
        let mut shell = program("/bin/bash");
        shell.args(["-c", &format!("exec \"$INIT\" cat {inherited}")]);
        let mut session = Session::start(Role::Subreaper, shell);
        session.command();
        let rinit = session.leader.pid;
        wait_until("rinit to let go", || (open_descriptors(rinit) == [2, terminal]).then_some(()));
        session.says("on");
        session.press(CTRL_Z);
        session.says("and on");
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}
