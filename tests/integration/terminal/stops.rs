//! Stops that somebody sends by hand, and those that the command takes for itself.

use crate::harness::pty::{BASH, CTRL_C, CTRL_Z, Session, group_of};
use crate::harness::shell::{Owner, UserShell, wait_until_stopped, wait_until_taken};
use crate::harness::{
    BOTH_ROLES, Role, TempDir, children, command, kill, pid_of, probe, program, rinit, state, wait_until,
    wait_until_ready,
};

tests! {
    requires [Namespaces];
    a_background_job_whose_command_is_stopped_and_continued_by_hand_goes_on_and_ends requires [Program("zsh")],
    a_job_that_bg_has_moved_away_is_not_suspended_with_its_command requires [Program("zsh")],
    a_background_job_that_is_stopped_by_hand_can_be_resumed_by_fg requires [Program("zsh")],
    a_background_job_that_is_stopped_through_rinit_is_suspended requires [Program("zsh")],
    a_foreground_job_whose_command_is_stopped_by_hand_is_suspended requires [Program("zsh")],
    a_stop_that_the_command_took_for_itself_does_not_change_the_next_ctrl_z,
    a_command_that_took_a_stop_for_itself_still_gets_the_terminal requires [Program("zsh")],
    a_stop_that_the_command_took_for_itself_does_not_change_the_next_ctrl_z_of_a_job requires [Program("zsh")],
    a_signal_that_stops_nothing_does_not_change_the_next_ctrl_z,
    a_stop_that_somebody_sent_lasts_until_continue,
    a_stop_that_somebody_sent_suspends_the_job,
    an_orphan_that_is_stopped_and_continued_is_its_own_affair,
    an_orphan_of_a_job_that_is_stopped_does_not_suspend_the_job,
    a_continue_that_overtakes_the_news_of_a_stop_is_not_lost,
}

fn a_background_job_whose_command_is_stopped_and_continued_by_hand_goes_on_and_ends() {
    let temp = TempDir::new();
    let file = temp.file("ready");
    UserShell::each(|user| {
        for stop in [libc::SIGSTOP, libc::SIGTSTP] {
            // It is told to end by whoever found its pid, and through rinit.
            for through_rinit in [false, true] {
                user.enter(&format!("INIT PROBE obey 7 {file} &"));
                user.prompt();
                wait_until_ready(&file);
                let job = user.started_job();
                for _ in 0..3 {
                    kill(job.command, stop);
                    wait_until_stopped(job.command, true);
                    kill(job.command, libc::SIGCONT);
                    wait_until_stopped(job.command, false);
                }
                kill(if through_rinit { job.rinit } else { job.command }, libc::SIGTERM);
                wait_until("the command to be reaped", || state(job.command).is_none().then_some(()));
                wait_until("rinit to end", || matches!(state(job.rinit), Some('Z') | None).then_some(()));
                user.run("wait");
                user.wait_until_alone();
                std::fs::remove_file(&file).unwrap();
            }
        }
    });
}

fn a_job_that_bg_has_moved_away_is_not_suspended_with_its_command() {
    UserShell::each(|user| {
        let job = user.enter_job("INIT HOLD");
        user.press(CTRL_Z);
        user.expect_stopped();
        user.run("bg");
        wait_until_stopped(job.rinit, false);
        wait_until_stopped(job.command, false);
        kill(job.command, libc::SIGSTOP);
        wait_until_stopped(job.command, true);
        // A higher number than SIGCHLD's: when it has been taken, rinit knows of the stop, and runs.
        kill(job.rinit, libc::SIGWINCH);
        wait_until_taken(job.rinit, libc::SIGWINCH);
        // A signal that comes meanwhile is for the command, too.
        kill(job.rinit, libc::SIGTERM);
        wait_until_taken(job.rinit, libc::SIGTERM);
        kill(job.command, libc::SIGCONT);
        user.run("wait");
        user.wait_until_alone();
    });
}

fn a_background_job_that_is_stopped_by_hand_can_be_resumed_by_fg() {
    UserShell::each(|user| {
        user.enter("INIT cat &");
        user.prompt();
        let job = user.started_job();
        // It reads, and is suspended.
        wait_until_stopped(job.rinit, true);
        kill(job.command, libc::SIGSTOP);
        kill(job.command, libc::SIGCONT);
        user.line("fg");
        user.says("at last");
        user.press(CTRL_C);
        user.prompt();
        user.wait_until_alone();
    });
}

fn a_background_job_that_is_stopped_through_rinit_is_suspended() {
    UserShell::each(|user| {
        // Also by SIGSTOP, which rinit can get only by a rewrite, and also if the command is stopped already: the shell
        // waits for rinit.
        for (options, is_stopped_before) in [("", false), ("-r TSTP:STOP", false), ("", true)] {
            println!("{options:?}, stopped before: {is_stopped_before}");
            user.enter(&format!("INIT {options} HOLD </dev/null &"));
            user.prompt();
            let job = user.started_job();
            if is_stopped_before {
                kill(job.command, libc::SIGSTOP);
                wait_until_stopped(job.command, true);
                // A higher number than SIGCHLD's: when it has been taken, rinit knows of the stop.
                kill(job.rinit, libc::SIGWINCH);
                wait_until_taken(job.rinit, libc::SIGWINCH);
            }
            kill(job.rinit, libc::SIGTSTP);
            wait_until_stopped(job.rinit, true);
            wait_until_stopped(job.command, true);
            kill(job.rinit, libc::SIGCONT);
            wait_until_stopped(job.command, false);
            kill(job.rinit, libc::SIGTERM);
            user.run("wait");
            user.wait_until_alone();
        }
    });
}

fn a_foreground_job_whose_command_is_stopped_by_hand_is_suspended() {
    UserShell::each(|user| {
        let job = user.enter_job("INIT cat");
        for round in 0..2 {
            kill(job.command, libc::SIGSTOP);
            user.prompt();
            assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
            assert!(user.has_foreground());
            user.line("fg");
            user.wait_until_owner(job, &[Owner::Command]);
            user.says(&format!("round {round}"));
            // Continued by hand meanwhile, it is in the background until fg.
            kill(job.command, libc::SIGSTOP);
            user.prompt();
            kill(job.command, libc::SIGCONT);
            user.line("fg");
            user.says(&format!("and {round}"));
            // The command runs, so it reads as soon as it has the foreground. rinit passes SIGCONT on after that, which would
            // end the next stop.
            assert_eq!(user.job(), job);
        }
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);

        // One that has left the terminal to the rest of its job.
        let job = user.enter_job("INIT HOLD </dev/null");
        for _ in 0..2 {
            kill(job.command, libc::SIGSTOP);
            user.prompt();
            assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
            assert!(user.has_foreground());
            user.line("fg");
            wait_until_stopped(job.command, false);
        }
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
    });
}

fn a_stop_that_the_command_took_for_itself_does_not_change_the_next_ctrl_z() {
    taken_by("handler");
    taken_by("ignore");
}

/// The command takes one stop for itself, and has the default action for the next.
fn taken_by(how: &str) {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            println!("{role:?}, {options:?}, {how}");
            let probe = probe();
            let words = [options, &[&*probe, "take-stop", how, "cat"]].concat();
            let mut session = Session::start(role, command(&words));
            session.expect("ready");
            let cat = session.command();
            session.leader.kill(libc::SIGTSTP);
            wait_until_taken(session.leader.pid, libc::SIGTSTP);
            if how == "ignore" {
                session.line("");
            }
            session.expect("taken");
            for round in 0..3 {
                session.press(CTRL_Z);
                session.says(&format!("round {round}"));
            }
            // One that somebody sends now, and that stops it, lasts.
            session.leader.kill(libc::SIGTSTP);
            wait_until_stopped(cat, true);
            session.line("later");
            session.leader.kill(libc::SIGCONT);
            session.expect("later");
            session.press(CTRL_Z);
            session.says("and on");
            session.press(CTRL_C);
            assert_eq!(session.leader.exit_code(), 130);
        }
    }
}

fn a_stop_that_the_command_took_for_itself_does_not_change_the_next_ctrl_z_of_a_job() {
    UserShell::each(|user| {
        for how in ["handler", "wait", "ignore"] {
            let job = user.enter_job(&format!("INIT PROBE take-stop {how} cat"));
            user.expect("ready");
            kill(job.rinit, libc::SIGTSTP);
            wait_until_taken(job.rinit, libc::SIGTSTP);
            if how == "ignore" {
                user.line("");
            }
            user.expect("taken");
            for round in 0..2 {
                user.says(&format!("round {round}"));
                user.press(CTRL_Z);
                user.expect_stopped();
                user.line("fg");
                user.wait_until_owner(job, &[Owner::Command]);
            }
            user.press(CTRL_C);
            user.prompt();
            user.wait_until_alone();
        }
    });
}

fn a_command_that_took_a_stop_for_itself_still_gets_the_terminal() {
    UserShell::each(|user| {
        let job = user.enter_job("INIT PROBE take-stop yield cat");
        user.expect("ready");
        kill(job.rinit, libc::SIGTSTP);
        user.expect("taken");
        // cat reads in the background: it asks for the terminal, and is not stopped by what somebody sent before.
        user.says("on");
        user.press(CTRL_C);
        user.prompt();
        user.wait_until_alone();
    });
}

fn a_signal_that_stops_nothing_does_not_change_the_next_ctrl_z() {
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&["cat"]));
        session.command();
        for signal in [libc::SIGWINCH, libc::SIGURG] {
            session.leader.kill(signal);
            wait_until_taken(session.leader.pid, signal);
            session.press(CTRL_Z);
            session.says("on");
        }
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn a_stop_that_somebody_sent_lasts_until_continue() {
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&["-vv", "cat"]));
        let command = session.command();
        for round in 0..5 {
            session.leader.kill(libc::SIGTSTP);
            wait_until_stopped(command, true);
            session.line(&format!("round {round}"));
            session.leader.kill(libc::SIGCONT);
            wait_until_stopped(command, false);
            session.expect(&format!("round {round}"));
            // It is continued by somebody else: the stop after that is the terminal's again.
            session.leader.kill(libc::SIGTSTP);
            wait_until_stopped(command, true);
            session.expect("was stopped by SIGTSTP");
            kill(command, libc::SIGCONT);
            // The kernel reports the last change alone. A Ctrl-Z that comes before rinit has looked hides the continue.
            session.expect("was continued");
            session.press(CTRL_Z);
            session.says("none");
            // The command itself, and by what cannot be caught.
            kill(command, libc::SIGSTOP);
            wait_until_stopped(command, true);
            session.leader.kill(libc::SIGCONT);
            wait_until_stopped(command, false);
            session.wait_until_foreground(group_of(command));
            session.press(CTRL_Z);
            session.says("and on");
        }
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn a_stop_that_somebody_sent_suspends_the_job() {
    let mut session = Session::shell(BASH);
    session.run_rinit("cat");
    let (rinit, command) = session.new_job();
    // A command that has the foreground and is stopped by SIGTTIN or SIGTTOU is given what it has.
    for (target, signal) in
        [(rinit, libc::SIGTSTP), (rinit, libc::SIGTTIN), (rinit, libc::SIGTTOU), (command, libc::SIGTSTP)]
    {
        kill(target, signal);
        session.expect("Stopped");
        session.prompt();
        assert_eq!((state(rinit), state(command)), (Some('T'), Some('T')));
        session.line("fg");
        assert_eq!(session.job(), (rinit, command));
        session.says("on");
    }
}

fn an_orphan_that_is_stopped_and_continued_is_its_own_affair() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{} record-detached {file}; exec cat", probe());
        let mut session = Session::start(role, command(&["-vvv", "-w", "sh", "-c", &script]));
        let cat = session.command();
        wait_until_ready(&file);
        let orphan = pid_of(&file);
        wait_until("it to be rinit's child", || children(session.leader.pid).contains(&orphan).then_some(()));
        for _ in 0..2 {
            kill(orphan, libc::SIGSTOP);
            session.expect("was stopped by SIGSTOP");
            kill(orphan, libc::SIGCONT);
            let line = session.expect("was continued");
            assert!(!line.contains("reaped orphan"), "{role:?}: {line}");
        }
        session.wait_until_foreground(group_of(cat));
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn an_orphan_of_a_job_that_is_stopped_does_not_suspend_the_job() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut session = Session::shell(BASH);
    session.run_rinit(&format!("sh -c '$PROBE record-detached {file}; exec cat'"));
    let (rinit, command) = session.new_job();
    wait_until_ready(&file);
    let orphan = pid_of(&file);
    kill(orphan, libc::SIGSTOP);
    wait_until_stopped(orphan, true);
    kill(rinit, libc::SIGWINCH);
    wait_until_taken(rinit, libc::SIGWINCH);
    session.says("on");
    assert_eq!(session.job(), (rinit, command));
}

fn a_continue_that_overtakes_the_news_of_a_stop_is_not_lost() {
    // Its session has no shell that would resume it, but another leader.
    let mut script = program("sh");
    script.args(["-c", "\"$0\" cat; exit $?"]).arg(rinit());
    let mut session = Session::start(Role::Subreaper, script);
    let (rinit, command) = session.job();
    for round in 0..5 {
        // rinit learns of both at once.
        kill(rinit, libc::SIGSTOP);
        wait_until_stopped(rinit, true);
        kill(command, libc::SIGSTOP);
        wait_until_stopped(command, true);
        kill(rinit, libc::SIGCONT);
        wait_until_stopped(command, false);
        session.wait_until_foreground(group_of(command));
        session.says(&format!("round {round}"));
        session.press(CTRL_Z);
        session.says("and on");
    }
    session.press(CTRL_C);
    assert_eq!(session.leader.exit_code(), 130);
}
