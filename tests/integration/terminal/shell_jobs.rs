//! rinit as the job of an interactive shell: suspended, resumed, in the background.

use crate::harness::pty::{CTRL_C, CTRL_D, CTRL_Z, group_of};
use crate::harness::shell::{Owner, Place, SHELLS, UserShell, wait_until_stopped};
use crate::harness::{TempDir, state};

tests! {
    requires [Namespaces, Program("zsh")];
    ctrl_z_suspends_the_job_and_fg_resumes_it,
    ctrl_z_and_fg_work_however_often_and_however_much_is_logged,
    bg_resumes_the_job_in_the_background_and_fg_brings_it_back,
    a_background_start_leaves_the_typing_user_alone,
    a_background_command_that_reads_is_suspended_until_fg,
    a_background_command_that_sets_the_terminal_is_suspended_until_fg,
    a_command_that_reads_only_after_fg_gets_the_terminal,
    a_command_may_change_the_terminal_and_change_it_back,
    background_output_stops_where_the_terminal_says_so,
}

fn ctrl_z_suspends_the_job_and_fg_resumes_it() {
    UserShell::each(|user| suspend_and_resume(user, "INIT cat", 3));
}

fn ctrl_z_and_fg_work_however_often_and_however_much_is_logged() {
    for shell in SHELLS {
        let mut user = UserShell::start(shell, Place::Machine);
        suspend_and_resume(&mut user, "INIT cat", 10);
        suspend_and_resume(&mut user, "INIT -w -vvv cat", 10);
    }
}

fn suspend_and_resume(user: &mut UserShell, line: &str, rounds: usize) {
    let job = user.enter_job(line);
    user.says("first");
    for round in 0..rounds {
        user.press(CTRL_Z);
        user.expect_stopped();
        assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
        assert!(user.has_foreground());
        user.line("jobs");
        user.expect_stopped();
        user.line("fg");
        user.wait_until_owner(job, &[Owner::Command]);
        user.says(&format!("round {round}"));
    }
    user.press(CTRL_D);
    user.prompt();
    user.expect_code(0);
}

fn bg_resumes_the_job_in_the_background_and_fg_brings_it_back() {
    UserShell::each(|user| {
        let job = user.enter_job("INIT HOLD");
        for _ in 0..3 {
            user.press(CTRL_Z);
            user.expect_stopped();
            user.run("bg");
            wait_until_stopped(job.rinit, false);
            wait_until_stopped(job.command, false);
            assert!(user.has_foreground());
            user.line("jobs");
            let running = user.shell.running();
            user.expect(running);
            user.prompt();
            user.line("fg");
            // bash sends no SIGCONT to a job that runs, so rinit is not told, and its own group keeps the foreground until
            // the command asks for it. dash sends one after the hand-over, which would discard a Ctrl-Z that came between.
            user.wait_until_owner(job, &[Owner::Job, Owner::Command]);
            assert_eq!(user.job(), job);
        }
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
    });
}

fn a_background_start_leaves_the_typing_user_alone() {
    UserShell::each(|user| {
        user.enter("INIT HOLD &");
        user.prompt();
        let job = user.job();
        for round in 0..3 {
            user.line(&format!("echo still $((6 * 7 + {round}))"));
            user.expect(&format!("still {}", 42 + round));
            user.prompt();
            assert!(user.has_foreground());
        }
        assert!(![state(job.rinit), state(job.command)].contains(&Some('T')));
        user.line("fg");
        user.wait_until_owner(job, &[Owner::Job, Owner::Command]);
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
    });
}

fn a_background_command_that_reads_is_suspended_until_fg() {
    UserShell::each(|user| {
        user.enter("INIT cat &");
        user.prompt();
        let job = user.started_job();
        wait_until_stopped(job.rinit, true);
        wait_until_stopped(job.command, true);
        user.line("jobs");
        user.expect_stopped();
        user.line("fg");
        user.wait_until_owner(job, &[Owner::Command]);
        user.says("at last");
        user.press(CTRL_C);
        user.prompt();
        user.wait_until_alone();
    });
}

fn a_background_command_that_sets_the_terminal_is_suspended_until_fg() {
    UserShell::each(|user| {
        user.enter("INIT SCRIPT -c 'stty -isig; stty isig; echo s''et; cat' &");
        user.prompt();
        let job = user.started_job();
        wait_until_stopped(job.rinit, true);
        user.line("fg");
        user.expect("set");
        user.says("and cat");
        user.press(CTRL_C);
        user.prompt();
        user.wait_until_alone();
    });
}

fn a_command_that_reads_only_after_fg_gets_the_terminal() {
    UserShell::each(|user| {
        let temp = TempDir::new();
        let gate = temp.file("gate");
        user.enter(&format!("INIT sh -c 'until [ -e {gate} ]; do sleep 0.02; done; exec cat' &"));
        user.prompt();
        let job = user.started_job();
        user.line("fg");
        user.wait_until_owner(job, &[Owner::Job, Owner::Command]);
        temp.write("gate", b"", 0o644);
        user.wait_until_foreground(group_of(job.command));
        user.says("hello");
        user.press(CTRL_C);
        user.prompt();
        user.wait_until_alone();
    });
}

fn a_command_may_change_the_terminal_and_change_it_back() {
    UserShell::each(|user| {
        user.enter("INIT stty -icanon; INIT stty icanon; INIT sh -c 'stty size'");
        user.expect("24 200");
        user.prompt();
        user.expect_code(0);
        user.enter("INIT SCRIPT -c 'stty -echo; read word; stty -echo; echo got $word'");
        user.line("secret");
        user.expect("got secret");
        user.prompt();
        user.expect_code(0);
    });
}

fn background_output_stops_where_the_terminal_says_so() {
    UserShell::each(|user| {
        user.run("stty tostop");
        user.enter("INIT sh -c 'echo writ''ten' &");
        user.prompt();
        let job = user.started_job();
        wait_until_stopped(job.rinit, true);
        user.line("fg");
        user.expect("written");
        user.prompt();
        user.run("stty -tostop");
        user.wait_until_alone();
    });
}
