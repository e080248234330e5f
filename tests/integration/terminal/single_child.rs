//! What a terminal sends is for the whole of a job, also with `--single-child`.

use libc::pid_t;

use crate::harness::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_Z, Session};
use crate::harness::shell::{UserShell, wait_until_stopped, wait_until_taken};
use crate::harness::{
    BOTH_ROLES, TempDir, command, descendants, is_waiting_for_input, kill, pid_of, probe, state, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    ctrl_z_does_not_freeze_a_script_that_nobody_could_resume,
    a_script_is_suspended_and_resumed_with_its_children requires [Program("zsh")],
    a_background_script_whose_child_reads_is_resumed_by_fg requires [Program("zsh")],
    a_script_whose_output_is_taken_reads_what_is_typed requires [Program("zsh")],
    keys_reach_all_of_the_commands_group requires [Program("zsh")],
    a_hangup_reaches_all_of_the_commands_group,
}

/// A loop of a script, which has a child of its own all the time. bash forks for it; a shell that waits for its child's
/// exec, vfork(2), would not stop meanwhile.
const LOOP: &str = "while :; do echo tick; sleep 0.02; done";

fn ctrl_z_does_not_freeze_a_script_that_nobody_could_resume() {
    for role in BOTH_ROLES {
        for options in [&["-c"][..], &[], &["-a"]] {
            println!("{role:?}, {options:?}");
            let words = [options, &["bash", "-c", LOOP]].concat();
            let mut session = Session::start(role, command(&words));
            session.command();
            for _ in 0..5 {
                session.expect("tick");
                session.press(CTRL_Z);
                goes_on(&mut session);
            }
            // Not Ctrl-C: bash goes on after it where its child ended in order.
            session.leader.kill(libc::SIGTERM);
            assert_eq!(session.leader.exit_code(), 143);

            // A child that waits in the same group.
            let words = [options, &["sh", "-c", "cat; exit 9"]].concat();
            let mut session = Session::start(role, command(&words));
            let script = session.command();
            let cat =
                wait_until("cat to read", || descendants(script).into_iter().find(|pid| is_waiting_for_input(*pid)));
            for round in 0..5 {
                session.press(CTRL_Z);
                session.line(&format!("round {round}"));
                session.expect(&format!("round {round}"));
            }
            wait_until_stopped(cat, false);
            session.press("\x04");
            assert_eq!(session.leader.exit_code(), 9);
        }
    }
}

/// Waits until a loop has ticked so often that it has started a child meanwhile.
fn goes_on(session: &mut Session) {
    let seen = session.rest().matches("tick").count();
    for _ in 0..seen + 3 {
        session.expect("tick");
    }
}

fn a_script_is_suspended_and_resumed_with_its_children() {
    let temp = TempDir::new();
    let file = temp.write("loop", LOOP.as_bytes(), 0o644);
    UserShell::each(|user| {
        let job = user.enter_job(&format!("INIT -- bash {file}"));
        for _ in 0..3 {
            user.expect("tick");
            user.press(CTRL_Z);
            user.expect_stopped();
            let stays = |pid: pid_t| matches!(state(pid), Some('T' | 'Z') | None);
            wait_until("all of it to be stopped", || descendants(job.rinit).into_iter().all(stays).then_some(()));
            user.line("fg");
            goes_on(user);
        }
        kill(job.rinit, libc::SIGTERM);
        user.prompt();
        user.wait_until_alone();

        let job = user.enter_job("INIT -- sh -c 'cat; exit 9'");
        let cat =
            wait_until("cat to read", || descendants(job.command).into_iter().find(|pid| is_waiting_for_input(*pid)));
        for round in 0..2 {
            user.press(CTRL_Z);
            user.expect_stopped();
            wait_until_stopped(cat, true);
            user.run("bg");
            // In the background it is stopped at its next read, and so is the job. kill(2) of a group continues one process
            // after the other: if cat reads before it comes to sh, it discards the stop of sh. Then cat has to read again.
            wait_until("the job to be stopped", || {
                let is_stopped = |pid| state(pid) == Some('T');
                if is_stopped(cat) && !is_stopped(job.command) {
                    kill(cat, libc::SIGCONT);
                }
                is_stopped(job.rinit).then_some(())
            });
            user.line("fg");
            user.line(&format!("round {round}"));
            user.expect(&format!("round {round}"));
        }
        user.press("\x04");
        user.prompt();
        user.expect_code(9);
    });
}

fn a_background_script_whose_child_reads_is_resumed_by_fg() {
    UserShell::each(|user| {
        user.enter("INIT -- SCRIPT -c 'head -1; echo th''en' &");
        user.prompt();
        let job = user.started_job();
        wait_until_stopped(job.command, true);
        wait_until_stopped(job.rinit, true);
        assert!(user.has_foreground());
        user.line("fg");
        user.line("a line");
        user.expect("a line");
        user.expect("then");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_script_whose_output_is_taken_reads_what_is_typed() {
    let temp = TempDir::new();
    UserShell::each(|user| {
        // In a script no signal of a terminal is ignored: the child of the command asks by SIGTTIN.
        let text = user.fill_in("x=$(INIT -- sh -c 'head -1; echo then'); echo \"<$x>\"\n");
        let file = temp.write("script", text.as_bytes(), 0o644);
        user.enter(&format!("SCRIPT {file}"));
        user.started_job();
        user.line("a line");
        user.expect("<a line");
        user.expect("then>");
        user.prompt();
        user.expect_code(0);
    });
}

fn keys_reach_all_of_the_commands_group() {
    let temp = TempDir::new();
    let file = temp.file("log");
    UserShell::each(|user| {
        // Where the foreground is the job's, rinit has the signal from the terminal and sends it on.
        let job = user.enter_job(&format!("INIT SCRIPT -c 'trap : INT QUIT TSTP; PROBE record {file}; exit 3' | HOLD"));
        wait_until_ready(&file);
        let recorder = pid_of(&file);
        let mut expected = Vec::new();
        let mut arrives = |signals: &[&'static str]| {
            expected.extend(signals);
            wait_until_recorded(&file, &expected);
        };
        user.resize(33, 101);
        arrives(&["28 plain"]);
        user.press(CTRL_Z);
        arrives(&["20 plain"]);
        user.press(CTRL_C);
        arrives(&["2 plain"]);
        user.press(CTRL_BACKSLASH);
        arrives(&["3 plain"]);
        // What comes from elsewhere is for those that the options name.
        kill(job.rinit, libc::SIGURG);
        wait_until_taken(job.rinit, libc::SIGURG);
        kill(recorder, 40);
        arrives(if user.options == "-c" { &["40 plain"] } else { &["23 plain", "40 plain"] });
        kill(recorder, libc::SIGKILL);
        user.end_probes();
        user.prompt();
        std::fs::remove_file(&file).unwrap();
        user.resize(24, 200);
    });
}

fn a_hangup_reaches_all_of_the_commands_group() {
    for role in BOTH_ROLES {
        for options in [&["-c"][..], &[], &["-a"]] {
            println!("{role:?}, {options:?}");
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = format!("trap : HUP; {} record {file} 18 7; exit 3", probe());
            let words = [options, &["bash", "-c", &script]].concat();
            let mut session = Session::start(role, command(&words));
            wait_until_ready(&file);
            session.command();
            session.hang_up();
            wait_until_recorded(&file, &["1 plain", "18 plain"]);
            assert_eq!(session.leader.exit_code(), 3);
        }
    }
}
