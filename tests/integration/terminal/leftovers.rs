//! The terminal after the main child has ended, while rinit waits for what it has left behind.

use crate::harness::pty::{CTRL_C, CTRL_Z, Session};
use crate::harness::shell::{UserShell, wait_until_stopped};
use crate::harness::{
    BOTH_ROLES, TempDir, children, command, is_waiting, kill, pid_of, probe, recorded_signals, state, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    ctrl_z_suspends_a_job_that_waits_for_its_leftovers requires [Program("zsh")],
    ctrl_c_is_for_the_leftovers_of_a_job requires [Program("zsh")],
    ctrl_z_does_not_freeze_leftovers_that_nobody_could_resume,
}

/// What makes rinit wait: to be told to, or a grace period.
const WAITS: [&str; 2] = ["--wait-all", "--grace 1h"];

/// Waits until rinit's main child has ended, and rinit waits for its one leftover, which records its signals.
fn wait_until_left(rinit: libc::pid_t, recorder: libc::pid_t) {
    wait_until("rinit to wait for what is left", || (children(rinit) == [recorder] && is_waiting(rinit)).then_some(()));
}

/// Waits until the recorder has what a grace period sends by itself. Returns that in the order in which it came: as PID 1
/// rinit sends SIGCONT first.
fn wait_until_asked(wait: &str, file: &str) -> Vec<&'static str> {
    const ORDERS: [[&str; 2]; 2] = [["15 plain", "18 plain"], ["18 plain", "15 plain"]];
    if wait == "--wait-all" {
        return Vec::new();
    }
    wait_until("the leftover to be asked", || ORDERS.iter().find(|order| recorded_signals(file) == **order)).to_vec()
}

fn ctrl_z_suspends_a_job_that_waits_for_its_leftovers() {
    UserShell::each(|user| {
        for wait in WAITS {
            println!("{wait}");
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = format!("PROBE record {file} & until [ -s {file} ]; do :; done; exit 3");
            user.enter(&format!("INIT {wait} SCRIPT -c '{script}'"));
            wait_until_ready(&file);
            let (rinit, recorder) = (user.started_job().rinit, pid_of(&file));
            wait_until_left(rinit, recorder);
            let mut expected = wait_until_asked(wait, &file);
            for _ in 0..2 {
                user.press(CTRL_Z);
                user.expect_stopped();
                assert_eq!(state(rinit), Some('T'));
                assert!(user.has_foreground());
                expected.push("20 plain");
                wait_until_recorded(&file, &expected);
                user.line("fg");
                wait_until_stopped(rinit, false);
                expected.push("18 plain");
                wait_until_recorded(&file, &expected);
                wait_until_left(rinit, recorder);
            }
            kill(recorder, libc::SIGKILL);
            user.prompt();
            user.expect_code(3);
        }
    });
}

fn ctrl_c_is_for_the_leftovers_of_a_job() {
    UserShell::each(|user| {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("PROBE record {file} 2 9 & until [ -s {file} ]; do :; done; exit 3");
        user.enter(&format!("INIT --wait-all SCRIPT -c '{script}'"));
        wait_until_ready(&file);
        let recorder = pid_of(&file);
        wait_until_left(user.started_job().rinit, recorder);
        user.press(CTRL_C);
        user.prompt();
        wait_until_recorded(&file, &["2 plain"]);
        user.expect_code(3);
        user.wait_until_alone();
    });
}

fn ctrl_z_does_not_freeze_leftovers_that_nobody_could_resume() {
    for role in BOTH_ROLES {
        for options in ["", "-c", "-a"] {
            for wait in WAITS {
                println!("{role:?}, options {options:?}, {wait}");
                let temp = TempDir::new();
                let file = temp.file("log");
                let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
                let words = format!("-vv {options} {wait}");
                let words: Vec<&str> = words.split_whitespace().chain(["sh", "-c", &script]).collect();
                let mut session = Session::start(role, command(&words));
                wait_until_ready(&file);
                let recorder = pid_of(&file);
                wait_until_left(session.leader.pid, recorder);
                let mut expected = wait_until_asked(wait, &file);
                session.press(CTRL_Z);
                // Two that are pending at once become one.
                session.expect("SIGTSTP arrived from the kernel");
                session.leader.kill(40);
                expected.push("40 plain");
                wait_until_recorded(&file, &expected);
                // One that somebody sends is for them.
                session.leader.kill(libc::SIGTSTP);
                expected.push("20 plain");
                wait_until_recorded(&file, &expected);
                kill(recorder, libc::SIGKILL);
                assert_eq!(session.leader.exit_code(), 3);
            }
        }
    }
}
