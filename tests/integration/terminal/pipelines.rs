//! rinit as one of a pipeline: the terminal is its neighbours', too.

use crate::harness::pty::{CTRL_C, CTRL_D, CTRL_Z, group_of};
use crate::harness::shell::{Owner, UserShell, wait_until_stopped};
use crate::harness::{TempDir, descendants, kill, pid_of, state, wait_until, wait_until_ready, wait_until_recorded};

tests! {
    requires [Namespaces, Program("zsh")];
    what_is_typed_reaches_the_first_of_a_pipeline,
    a_command_that_only_writes_keeps_its_place_in_a_pipeline,
    one_ctrl_c_ends_all_of_a_pipeline,
    ctrl_z_reaches_each_of_a_pipeline_once,
    a_pipeline_is_suspended_and_continued_as_one_job,
    a_command_of_a_pipeline_that_suspends_itself_suspends_the_job,
    a_pager_gets_its_keys requires [Program("less")],
    a_pager_is_suspended_and_resumed requires [Program("less")],
    a_command_in_a_pipeline_that_asks_for_the_terminal_gets_it,
    a_command_whose_output_is_taken_gets_what_is_typed,
}

fn what_is_typed_reaches_the_first_of_a_pipeline() {
    UserShell::each(|user| {
        let job = user.enter_job("cat | INIT sed -u 's/^/got:/'");
        for round in 0..2 {
            user.line(&format!("first {round}"));
            user.expect(&format!("got:first {round}"));
            user.press(CTRL_Z);
            user.expect_stopped();
            user.line("fg");
            user.line(&format!("then {round}"));
            user.expect(&format!("got:then {round}"));
            assert_eq!(user.job(), job);
        }
        user.press(CTRL_D);
        user.prompt();
        user.expect_code(0);

        user.enter_job("cat | INIT wc -l");
        user.press("one\ntwo\n\x04");
        user.expect("2\n");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_command_that_only_writes_keeps_its_place_in_a_pipeline() {
    UserShell::each(|user| {
        user.enter_job("INIT cat | sed -u 's/^/got:/'");
        for round in 0..2 {
            user.line(&format!("first {round}"));
            user.expect(&format!("got:first {round}"));
            user.press(CTRL_Z);
            user.expect_stopped();
            user.line("fg");
            user.line(&format!("then {round}"));
            user.expect(&format!("got:then {round}"));
        }
        user.press(CTRL_D);
        user.prompt();
        user.expect_code(0);
        // In the middle, and with rinit at both ends.
        for line in ["cat | INIT cat | sed -u 's/^/got:/'", "INIT cat | INIT sed -u 's/^/got:/'"] {
            user.enter_job(line);
            user.line("a line");
            user.expect("got:a line");
            user.press(CTRL_D);
            user.prompt();
            user.expect_code(0);
        }
    });
}

fn one_ctrl_c_ends_all_of_a_pipeline() {
    UserShell::each(|user| {
        for line in [
            "sleep 1000 | INIT cat",
            "INIT sleep 1000 | cat",
            "sleep 1000 | INIT cat | cat",
            "INIT sleep 1000 | INIT cat",
            "echo 1000 1000 1000 | xargs -n1 INIT sleep",
            "SCRIPT -c 'sleep 1000 | INIT cat'",
        ] {
            println!("{line}");
            let job = user.enter_job(line);
            user.press(CTRL_C);
            user.prompt();
            user.wait_until_alone();
            let has_ended = |pid| matches!(state(pid), Some('Z') | None);
            wait_until("rinit to end", || (has_ended(job.rinit) && has_ended(job.command)).then_some(()));
            assert!(user.has_foreground());
        }
    });
}

fn ctrl_z_reaches_each_of_a_pipeline_once() {
    let temp = TempDir::new();
    let file = temp.file("log");
    UserShell::each(|user| {
        // The terminal sends it to all of the job, so rinit has only itself left to stop.
        for line in [format!("INIT HOLD | PROBE record {file}"), format!("PROBE record {file} | INIT HOLD")] {
            let job = user.enter_job(&line);
            wait_until_ready(&file);
            let recorder = pid_of(&file);
            user.press(CTRL_Z);
            wait_until_stopped(job.rinit, true);
            assert_eq!(state(job.command), Some('T'));
            kill(recorder, 40);
            wait_until_recorded(&file, &["20 plain", "40 plain"]);
            kill(recorder, libc::SIGKILL);
            kill(job.rinit, libc::SIGCONT);
            user.end_probes();
            user.prompt();
            std::fs::remove_file(&file).unwrap();
        }
        // The terminal sends it to the command alone, and the rest of the job has it from rinit.
        let job = user.enter_job(&format!("SCRIPT -c 'PROBE record {file} & INIT HOLD; exit 3'"));
        wait_until_ready(&file);
        let recorder = pid_of(&file);
        assert_eq!(user.owner(job), Owner::Command);
        user.press(CTRL_Z);
        wait_until_stopped(job.rinit, true);
        kill(recorder, 40);
        wait_until_recorded(&file, &["20 plain", "40 plain"]);
        kill(recorder, libc::SIGKILL);
        user.prompt();
        user.line("fg");
        wait_until_stopped(job.command, false);
        user.end_probes();
        user.prompt();
        std::fs::remove_file(&file).unwrap();
    });
}

fn a_pipeline_is_suspended_and_continued_as_one_job() {
    UserShell::each(|user| {
        for line in ["HOLD | INIT HOLD", "INIT HOLD | HOLD"] {
            println!("{line}");
            let job = user.enter_job(line);
            for _ in 0..3 {
                user.press(CTRL_Z);
                user.expect_stopped();
                for pid in descendants(user.pid) {
                    assert_eq!(state(pid), Some('T'));
                }
                user.run("bg");
                for pid in descendants(user.pid) {
                    wait_until_stopped(pid, false);
                }
                assert!(user.has_foreground());
                user.line("fg");
                wait_until("the job to be in the foreground", || (!user.has_foreground()).then_some(()));
                assert_eq!(user.job(), job);
            }
            user.press(CTRL_C);
            user.prompt();
            user.wait_until_alone();
        }
    });
}

fn a_command_of_a_pipeline_that_suspends_itself_suspends_the_job() {
    UserShell::each(|user| {
        // As editors do: a handler takes the key's signal, and they stop themselves when they have cleaned up.
        let job = user.enter_job("INIT PROBE take-stop stop true | cat");
        user.expect("ready");
        user.press(CTRL_Z);
        user.expect_stopped();
        assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
        assert!(user.has_foreground());
        user.line("fg");
        user.expect("taken");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_pager_gets_its_keys() {
    let temp = TempDir::new();
    // More than a pipe holds, so that its writer still runs while the pager is at its first page.
    let text = "a line to look at\n".repeat(20_000) + "the last line\n";
    let text = temp.write("text", text.as_bytes(), 0o644);
    UserShell::each(|user| {
        // Beside rinit, and below it, where less asks for the terminal by SIGTTOU.
        for line in [format!("INIT cat {text} | less -X"), format!("cat {text} | INIT less -X")] {
            user.enter(&line);
            user.expect("a line to look at");
            user.wait_until_key_is_awaited("less");
            user.press("G");
            user.expect("the last line");
            user.wait_until_key_is_awaited("less");
            user.press("q");
            user.prompt();
            user.wait_until_alone();
        }
        user.enter("seq 500 | INIT less -X");
        user.expect("1\n2\n3\n");
        user.wait_until_key_is_awaited("less");
        user.press("G");
        user.expect("499\n500\n");
        user.wait_until_key_is_awaited("less");
        user.press("q");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_pager_is_suspended_and_resumed() {
    let temp = TempDir::new();
    let text = "a line to look at\n".repeat(100);
    let text = temp.write("text", text.as_bytes(), 0o644);
    UserShell::each(|user| {
        for line in [format!("INIT sh -c 'cat {text}; exec HOLD' | less -X"), format!("cat {text} | INIT less -X")] {
            // No fork comes after the text: a shell that waits for its child's exec, vfork(2), does not stop.
            let job = user.enter_job(&line);
            user.expect("a line to look at");
            for _ in 0..2 {
                user.wait_until_key_is_awaited("less");
                user.press(CTRL_Z);
                user.expect_stopped();
                wait_until_stopped(job.command, true);
                user.line("fg");
                wait_until_stopped(job.command, false);
                user.wait_until_key_is_awaited("less");
                // It says where it is.
                user.press("=");
                user.expect("lines 1-");
            }
            user.wait_until_key_is_awaited("less");
            user.press("q");
            user.end_probes();
            user.prompt();
        }
    });
}

fn a_command_in_a_pipeline_that_asks_for_the_terminal_gets_it() {
    UserShell::each(|user| {
        // By a read, and by a change of the terminal's modes; elsewhere than from standard input, too.
        user.enter_job("INIT SCRIPT -c 'read word; echo got $word' | cat");
        user.line("one");
        user.expect("got one");
        user.prompt();
        user.enter_job("true | INIT SCRIPT -c 'read word </dev/tty; echo got $word'");
        user.line("two");
        user.expect("got two");
        user.prompt();
        user.enter_job("INIT SCRIPT -c 'stty -isig; stty isig; echo set; read word; echo got $word' | cat");
        user.expect("set");
        user.line("three");
        user.expect("got three");
        user.prompt();
        user.expect_code(0);
    });
}

fn a_command_whose_output_is_taken_gets_what_is_typed() {
    UserShell::each(|user| {
        user.enter("x=$(INIT sh -c 'head -1; echo then'); echo \"<$x>\"");
        let job = user.started_job();
        wait_until("the command to read", || (group_of(job.command) == user.foreground()).then_some(()));
        user.line("a line");
        user.expect("<a line");
        user.expect("then>");
        user.prompt();
        assert!(user.has_foreground());
    });
}
