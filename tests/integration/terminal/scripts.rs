//! rinit in a script: a shell without job control, which goes on using its terminal.

use crate::harness::pty::{CTRL_C, CTRL_D, CTRL_Z, PROMPT, Session};
use crate::harness::shell::{Owner, SHELLS, UserShell, wait_until_stopped};
use crate::harness::{BOTH_ROLES, TempDir, children, command, is_waiting, program, rinit, state, wait_until};

tests! {
    requires [Namespaces, Program("zsh")];
    a_script_that_starts_it_in_the_background_still_reads,
    a_scripts_own_trap_runs_on_ctrl_c,
    a_script_goes_on_after_it_in_the_foreground,
    a_script_that_becomes_an_interactive_shell_gives_a_usable_one,
    a_background_start_below_init_leaves_the_shell_after_it_usable,
    a_script_that_leads_the_session_reads_too,
}

/// A script's file, of the shell that is the user's.
fn script(user: &UserShell, temp: &TempDir, text: &str) -> String {
    temp.write("script", user.fill_in(text).as_bytes(), 0o644)
}

fn a_script_that_starts_it_in_the_background_still_reads() {
    let temp = TempDir::new();
    UserShell::each(|user| {
        let text = "INIT HOLD & pid=$!\n\
                    read a; echo first:$a; read b; echo second:$b; read c; echo third:$c\n\
                    kill $pid; wait $pid; echo code:$?\n";
        let file = script(user, &temp, text);
        let job = user.enter_job(&format!("SCRIPT {file}"));
        assert_eq!(user.owner(job), Owner::Job);
        for (word, name) in [("one", "first"), ("two", "second"), ("three", "third")] {
            user.line(word);
            user.expect(&format!("{name}:{word}"));
        }
        user.expect("code:143");
        user.prompt();
        user.wait_until_alone();
        assert!(user.has_foreground());
    });
}

fn a_scripts_own_trap_runs_on_ctrl_c() {
    let temp = TempDir::new();
    UserShell::each(|user| {
        // With rinit in the background, whose command ignores SIGINT as what a script starts there does.
        let file = script(user, &temp, "trap 'echo IN''T; exit 5' INT\nINIT HOLD & sleep 1000\n");
        let job = user.enter_job(&format!("SCRIPT {file}"));
        assert_eq!(user.owner(job), Owner::Job);
        user.wait_until_runs("sleep");
        user.press(CTRL_C);
        user.expect("INT");
        user.prompt();
        user.expect_code(5);
        user.end_probes();

        // And in the foreground without the terminal: Ctrl-C ends the command first.
        let file = script(user, &temp, "trap 'echo IN''T; exit 6' INT\nINIT HOLD </dev/null\necho never\n");
        user.enter_job(&format!("SCRIPT {file}"));
        user.press(CTRL_C);
        user.expect("INT");
        user.prompt();
        user.expect_code(6);
        user.wait_until_alone();
    });
}

fn a_script_goes_on_after_it_in_the_foreground() {
    let temp = TempDir::new();
    UserShell::each(|user| {
        let text = "read a; echo before:$a\n\
                    INIT SCRIPT -c 'read b; echo during:$b; exit 9'; echo code:$?\n\
                    read c; echo after:$c\nINIT cat; read d; echo last:$d\n";
        let file = script(user, &temp, text);
        user.enter(&format!("SCRIPT {file}"));
        for (word, name) in [("one", "before"), ("two", "during"), ("three", "after")] {
            user.line(word);
            user.expect(&format!("{name}:{word}"));
        }
        user.line("to cat");
        user.expect("to cat");
        // The whole of it is one job.
        let job = user.started_job();
        for round in 0..2 {
            user.press(CTRL_Z);
            user.expect_stopped();
            wait_until_stopped(job.rinit, true);
            let script = children(user.pid)[0];
            assert_eq!([script, job.rinit, job.command].map(state), [Some('T'); 3]);
            user.line("fg");
            wait_until_stopped(job.command, false);
            user.line(&format!("again {round}"));
            user.expect(&format!("again {round}"));
        }
        user.press(CTRL_D);
        user.line("four");
        user.expect("last:four");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_script_that_becomes_an_interactive_shell_gives_a_usable_one() {
    // `docker run -it IMAGE sh -c '/rinit -- sleep 100 & exec sh -i'`, and the same on a machine. Whether rinit or the shell is
    // the first to look at the terminal is chance.
    for shell in SHELLS {
        for role in BOTH_ROLES {
            for options in ["", "-c", "-a"] {
                for _ in 0..5 {
                    println!("{shell:?}, {role:?}, options {options:?}");
                    let script = format!("{} {options} sleep 1000 & exec \"$@\"", rinit().into_string().unwrap());
                    let mut start = program("sh");
                    start.args(["-c", &script, "sh"]).args(shell.interactive());
                    let mut session = Session::start(role, start);
                    session.prompt();
                    shell.has_job_control(&mut session);
                }
            }
        }
    }
}

fn a_background_start_below_init_leaves_the_shell_after_it_usable() {
    // `docker run -it --entrypoint /rinit IMAGE -- bash -c '/rinit -- sleep 100 & sleep .5; exec bash'`
    for shell in SHELLS {
        for role in BOTH_ROLES {
            for options in ["", "-c", "-a"] {
                println!("{shell:?}, {role:?}, options {options:?}");
                let rinit = rinit().into_string().unwrap();
                // The shell begins when the inner rinit has nothing more to do for its start.
                let script = format!(
                    "export PS1='{PROMPT}'; {rinit} {options} sleep 1000 & until grep -q sigtimedwait /proc/$!/wchan; do sleep 0.01; done; exec \"$@\""
                );
                let words = [&[shell.script()[0], "-c", &script, "sh"], shell.interactive()].concat();
                let words = [options.split_whitespace().collect(), words].concat();
                let mut session = Session::start(role, command(&words));
                session.prompt();
                shell.has_job_control(&mut session);
            }
        }
    }
}

fn a_script_that_leads_the_session_reads_too() {
    // A container's PID 1, an ssh session's first process.
    for shell in SHELLS {
        for role in BOTH_ROLES {
            let rinit = rinit().into_string().unwrap();
            let script = format!(
                "{rinit} sleep 1000 & read a; echo first:$a; read b; echo second:$b; kill $!; wait $!; exit $?"
            );
            let mut start = program(shell.script()[0]);
            start.args(&shell.script()[1..]).args(["-c", &script]);
            let mut session = Session::start(role, start);
            let rinit = session.background_job().0;
            wait_until("rinit to wait", || is_waiting(rinit).then_some(()));
            for (word, name) in [("one", "first"), ("two", "second")] {
                session.line(word);
                session.expect(&format!("{name}:{word}"));
            }
            assert_eq!(session.leader.exit_code(), 143);
        }
    }
}
