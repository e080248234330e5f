//! What an interactive user expects, in a container and under a shell, on a real pseudo-terminal.

use crate::harness::interactive::Image;
use crate::harness::pty::{BASH, CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, DASH, PROMPT, Session, group_of};
use crate::harness::{
    BOTH_ROLES, Role, TempDir, children, command, kill, probe, program, rinit, run_to_end, state, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    the_command_is_in_the_foreground,
    ctrl_c_gives_130_and_ctrl_backslash_131,
    keys_arrive_once,
    ctrl_z_suspends_the_job_and_fg_resumes_it_ten_times,
    bg_resumes_the_job_in_the_background_and_fg_brings_it_back,
    a_background_start_leaves_the_typing_user_alone,
    a_background_command_that_reads_is_suspended_until_fg,
    a_command_that_reads_only_after_fg_gets_the_terminal,
    ctrl_z_does_not_freeze_a_command_that_nobody_could_resume,
    a_stop_that_somebody_sent_lasts_until_continue,
    a_stop_that_somebody_sent_suspends_the_job,
    hanging_up_ends_the_command,
    a_new_window_size_arrives_once,
    vi_and_less_work requires [Program("vim"), Program("less")],
    messages_do_not_stop_it_where_background_output_stops,
    an_interactive_shell_below_it_has_job_control,
    a_pipeline_is_suspended_and_resumed_as_one_job,
    without_a_terminal_two_system_calls_find_out requires [Program("strace")],
    a_continue_that_overtakes_the_news_of_a_stop_is_not_lost,
    ctrl_z_before_the_command_has_started_is_no_different requires [Program("strace")],
    ctrl_z_before_the_command_has_its_own_group_suspends_the_job requires [Program("strace")],
    a_pager_in_the_same_pipeline_gets_the_keys requires [Program("less")],
    a_namespace_made_by_hand_in_the_background_leaves_the_typing_user_alone,
    docker_run_it_and_docker_exec_it_give_a_whole_bash requires [Docker],
    docker_run_it_passes_keys_and_stops requires [Docker],
}

/// Waits until a process is stopped, or is not.
fn wait_until_stopped(pid: libc::pid_t, stopped: bool) {
    wait_until("a process to be stopped or continued", || ((state(pid)? == 'T') == stopped).then_some(()));
}

/// Waits until a shell has handed the foreground to a job that was running. bash sends no SIGCONT then, so rinit is not
/// told, and its own group keeps the foreground until the command asks for it.
fn wait_until_job_in_foreground(session: &Session, rinit: libc::pid_t, command: libc::pid_t) {
    let groups = [rinit, command].map(group_of);
    wait_until("the job to be in the foreground", || groups.contains(&session.foreground()).then_some(()));
}

/// Types a line to `cat` and waits for its echo.
fn says(session: &mut Session, text: &str) {
    // In brackets: a word alone could be part of something else that appears.
    let text = format!("<{text}>");
    session.line(&text);
    session.expect(&text);
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
            session.job();
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
            let (rinit, _) = session.job();
            session.press(key);
            wait_until_recorded(&file, &expected[..1]);
            kill(rinit, 40);
            wait_until_recorded(&file, &expected);
        }
    }
}

fn ctrl_z_suspends_the_job_and_fg_resumes_it_ten_times() {
    for (shell, options) in [(BASH, ""), (BASH, "-c "), (BASH, "-a "), (BASH, "-w -vvv "), (DASH, "")] {
        let mut session = Session::shell(shell);
        session.run_rinit(&format!("{options}cat"));
        let (rinit, command) = session.job();
        says(&mut session, "first");
        for round in 0..10 {
            session.press(CTRL_Z);
            session.expect("Stopped");
            session.prompt();
            assert_eq!((state(rinit), state(command)), (Some('T'), Some('T')));
            session.line("jobs");
            session.expect("Stopped");
            session.prompt();
            session.line("fg");
            assert_eq!(session.job(), (rinit, command));
            says(&mut session, &format!("round {round}"));
        }
        session.press(CTRL_D);
        session.prompt();
        session.line("echo code=$?.");
        session.expect("code=0.");
    }
}

fn bg_resumes_the_job_in_the_background_and_fg_brings_it_back() {
    for shell in [BASH, DASH] {
        let mut session = Session::shell(shell);
        session.run_rinit("$PROBE hold");
        let (rinit, command) = session.job();
        for _ in 0..3 {
            session.press(CTRL_Z);
            session.expect("Stopped");
            session.prompt();
            session.run("bg");
            wait_until_stopped(rinit, false);
            wait_until_stopped(command, false);
            assert_eq!(session.foreground(), group_of(session.leader.pid));
            session.line("jobs");
            session.expect("Running");
            session.prompt();
            session.line("fg");
            wait_until_job_in_foreground(&session, rinit, command);
        }
        session.press(CTRL_C);
        session.prompt();
        session.line("echo code=$?.");
        session.expect("code=130.");
    }
}

fn a_background_start_leaves_the_typing_user_alone() {
    for shell in [BASH, DASH] {
        let mut session = Session::shell(shell);
        session.run_rinit("$PROBE hold &");
        session.prompt();
        let (rinit, command) = session.background_job();
        for round in 0..3 {
            session.line(&format!("echo still $((6 * 7 + {round}))"));
            session.expect(&format!("still {}", 42 + round));
            session.prompt();
            assert_eq!(session.foreground(), group_of(session.leader.pid));
        }
        assert!(![state(rinit), state(command)].contains(&Some('T')));
        session.line("fg");
        wait_until_job_in_foreground(&session, rinit, command);
        session.press(CTRL_C);
        session.prompt();
        session.line("echo code=$?.");
        session.expect("code=130.");
    }
}

fn a_background_command_that_reads_is_suspended_until_fg() {
    for shell in [BASH, DASH] {
        let mut session = Session::shell(shell);
        session.run_rinit("cat &");
        session.prompt();
        let (rinit, command) = session.background_job();
        wait_until_stopped(rinit, true);
        wait_until_stopped(command, true);
        session.line("jobs");
        session.expect("Stopped");
        session.prompt();
        session.line("fg");
        assert_eq!(session.job(), (rinit, command));
        says(&mut session, "at last");
        session.press(CTRL_C);
        session.prompt();
    }
}

fn a_command_that_reads_only_after_fg_gets_the_terminal() {
    for shell in [BASH, DASH] {
        let temp = TempDir::new();
        let gate = temp.file("gate");
        let mut session = Session::shell(shell);
        session.run_rinit(&format!("sh -c 'until [ -e {gate} ]; do sleep 0.1; done; exec cat' &"));
        session.prompt();
        let (rinit, command) = session.background_job();
        session.line("fg");
        wait_until_job_in_foreground(&session, rinit, command);
        temp.write("gate", b"", 0o644);
        session.wait_until_foreground(group_of(command));
        says(&mut session, "hello");
        session.press(CTRL_C);
        session.prompt();
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
                says(&mut session, &format!("round {round}"));
            }
            wait_until_stopped(command, false);
            assert_eq!(session.foreground(), group_of(command));
            session.press(CTRL_D);
            assert_eq!(session.leader.exit_code(), 0);
        }
    }
}

fn a_stop_that_somebody_sent_lasts_until_continue() {
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&["cat"]));
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
            kill(command, libc::SIGCONT);
            wait_until_stopped(command, false);
            session.press(CTRL_Z);
            says(&mut session, "none");
            // The command itself, and by what cannot be caught.
            kill(command, libc::SIGSTOP);
            wait_until_stopped(command, true);
            session.leader.kill(libc::SIGCONT);
            wait_until_stopped(command, false);
            session.wait_until_foreground(group_of(command));
            session.press(CTRL_Z);
            says(&mut session, "and on");
        }
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn a_stop_that_somebody_sent_suspends_the_job() {
    for by_name in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let mut session = Session::shell(BASH);
        session.run_rinit("cat");
        let (rinit, command) = session.job();
        for target in [rinit, command] {
            kill(target, by_name);
            session.expect("Stopped");
            session.prompt();
            assert_eq!((state(rinit), state(command)), (Some('T'), Some('T')));
            session.line("fg");
            assert_eq!(session.job(), (rinit, command));
            says(&mut session, "on");
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
    let (rinit, command) = session.job();
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
    let (rinit, _) = session.job();
    session.resize(33, 101);
    wait_until_recorded(&file, &["28 plain"]);
    kill(rinit, 40);
    wait_until_recorded(&file, &["28 plain", "40 plain"]);
}

fn vi_and_less_work() {
    let temp = TempDir::new();
    let text = temp.write("text", b"a line to look at\n", 0o644);
    let editor = ["vim", "-u", "NONE", "-n", &text];
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&editor));
        session.expect("a line to look at");
        session.wait_until_key_is_awaited("vim");
        // It suspends itself, finds that it goes on, and draws its screen anew.
        session.press(CTRL_Z);
        session.expect("a line to look at");
        session.press("ggONew words\x1b:wq\n");
        assert_eq!(session.leader.exit_code(), 0);
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "New words\na line to look at\n");
        temp.write("text", b"a line to look at\n", 0o644);

        let mut session = Session::start(role, command(&["less", "-X", &text]));
        session.expect("a line to look at");
        session.expect("(END)");
        session.press("q");
        assert_eq!(session.leader.exit_code(), 0);
    }
    let mut session = Session::shell(BASH);
    session.run_rinit(&editor.join(" "));
    session.expect("a line to look at");
    session.wait_until_key_is_awaited("vim");
    let job = session.job();
    session.press(CTRL_Z);
    session.expect("Stopped");
    session.prompt();
    session.line("fg");
    session.expect("a line to look at");
    assert_eq!(session.job(), job);
    session.press("ggONew words\x1b:wq\n");
    session.prompt();
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "New words\na line to look at\n");

    session.run_rinit(&format!("less -X {text}"));
    session.expect("a line to look at");
    session.expect("(END)");
    session.wait_until_key_is_awaited("less");
    let job = session.job();
    session.press(CTRL_Z);
    session.expect("Stopped");
    session.prompt();
    session.line("fg");
    session.expect("a line to look at");
    assert_eq!(session.job(), job);
    session.press("q");
    session.prompt();
    session.line("echo code=$?.");
    session.expect("code=0.");
}

fn messages_do_not_stop_it_where_background_output_stops() {
    let mut session = Session::shell(BASH);
    session.run("stty tostop");
    // rinit is in the background all the time; the orphans make it write.
    session.run_rinit("-vvv -w sh -c '(true &); (true &); read line; echo got $line' ");
    session.expect("running 'sh'");
    let (rinit, command) = session.job();
    for _ in 0..2 {
        session.expect("reaped orphan");
    }
    kill(rinit, libc::SIGWINCH);
    session.expect("sent SIGWINCH");
    assert!(![state(rinit), state(command)].contains(&Some('T')));
    session.line("hello");
    session.expect("got hello");
    session.expect("exiting with 0");
    session.prompt();

    session.run_rinit("-vvv -w $PROBE hold &");
    session.expect("running");
    let (rinit, _) = session.background_job();
    kill(rinit, libc::SIGTERM);
    session.expect("exiting with 143");
}

fn an_interactive_shell_below_it_has_job_control() {
    for shell in [BASH, DASH] {
        for role in BOTH_ROLES {
            let mut session = Session::start(role, command(shell));
            session.prompt();
            let complaints = session.rest().to_owned();
            assert!(!complaints.contains("job control"), "{complaints}");
            job_control(&mut session);
            session.line("exit 7");
            assert_eq!(session.leader.exit_code(), 7);
        }
    }
    // Between two of them: the inner one's own suspension is the outer one's job.
    let mut session = Session::shell(BASH);
    session.run_rinit(&BASH.join(" "));
    session.prompt();
    let (rinit, inner) = session.job();
    for _ in 0..2 {
        job_control(&mut session);
        session.line("suspend");
        session.expect("Stopped");
        session.prompt();
        assert_eq!((state(rinit), state(inner)), (Some('T'), Some('T')));
        session.line("fg");
        session.wait_until_foreground(group_of(inner));
    }
    session.run("exit 7");
    session.line("echo code=$?.");
    session.expect("code=7.");
}

/// A shell's own jobs: stopped, resumed, interrupted.
fn job_control(session: &mut Session) {
    session.line("cat");
    says(session, "one");
    session.press(CTRL_Z);
    session.expect("Stopped");
    session.prompt();
    session.line("fg");
    session.expect("cat");
    says(session, "two");
    session.press(CTRL_C);
    session.prompt();
    session.line("echo code=$?.");
    session.expect("code=130.");
    session.prompt();
}

fn a_pipeline_is_suspended_and_resumed_as_one_job() {
    for shell in [BASH, DASH] {
        let mut session = Session::shell(shell);
        session.run_rinit("cat | sed -u 's/^/out: /'");
        // In the foreground is the command, which has asked for it, or the job again, where the shell comes to give it the
        // terminal only then: it does so in each process of a pipeline.
        let job = session.background_job();
        for round in 0..5 {
            session.line(&format!("round {round}"));
            session.expect(&format!("out: round {round}"));
            session.press(CTRL_Z);
            session.expect("Stopped");
            session.prompt();
            session.line("fg");
            assert_eq!(session.job(), job);
        }
        session.press(CTRL_D);
        session.prompt();
    }
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
        says(&mut session, &format!("round {round}"));
        session.press(CTRL_Z);
        says(&mut session, "and on");
    }
    session.press(CTRL_C);
    assert_eq!(session.leader.exit_code(), 130);
}

fn ctrl_z_before_the_command_has_started_is_no_different() {
    for role in BOTH_ROLES {
        // Held up before the hand-over, which is the child's work. strace's own processes are elsewhere.
        let mut strace = program("strace");
        strace.args(["-DDD", "-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:delay_enter=500000"]);
        strace.arg(rinit()).arg("cat");
        let mut session = Session::start(role, strace);
        session.leader.wait_until_signals_are_blocked();
        session.press(CTRL_Z);
        says(&mut session, "hello");
        session.press(CTRL_C);
        assert_eq!(session.leader.exit_code(), 130);
    }
}

fn ctrl_z_before_the_command_has_its_own_group_suspends_the_job() {
    // The child is held there, still of rinit's group, and rinit waits for its exec.
    let strace = "strace -DDD -f -o /dev/null -e trace=setpgid -e inject=setpgid:delay_enter=500000:when=1";
    for pipe in ["", " | sed -u 's/^/out: /'"] {
        let mut session = Session::shell(BASH);
        session.line(&format!("{strace} $INIT cat{pipe}"));
        let leader = session.leader.pid;
        let binary = std::fs::canonicalize(rinit()).unwrap();
        wait_until("the child", || {
            let job = *children(leader).first()?;
            let runs_rinit = std::fs::read_link(format!("/proc/{job}/exe")).is_ok_and(|program| program == binary);
            if runs_rinit { children(job).first().copied() } else { None }
        });
        session.press(CTRL_Z);
        session.expect("Stopped");
        session.prompt();
        session.line("fg");
        says(&mut session, "hello");
        session.press(CTRL_C);
        session.prompt();
    }
}

fn a_pager_in_the_same_pipeline_gets_the_keys() {
    let temp = TempDir::new();
    // More than a pipe holds, so that the command still runs while the pager is at its first page.
    let text = "a line to look at\n".repeat(20_000) + "the last line\n";
    let text = temp.write("text", text.as_bytes(), 0o644);
    let mut session = Session::shell(BASH);
    session.run_rinit(&format!("cat {text} | less -X"));
    session.expect("a line to look at");
    session.press("G");
    session.expect("the last line");
    session.wait_until_key_is_awaited("less");
    session.press(CTRL_Z);
    session.expect("Stopped");
    session.prompt();
    session.line("fg");
    session.expect("the last line");
    session.press("q");
    session.prompt();
    // The command still gets the terminal if it asks.
    session.run_rinit("sh -c 'read word; echo got $word' | cat");
    session.background_job();
    session.line("it");
    session.expect("got it");
    session.prompt();
}

fn a_namespace_made_by_hand_in_the_background_leaves_the_typing_user_alone() {
    // Inside, the shell's process group and rinit's own both have the number 0.
    let mut session = Session::shell(BASH);
    let start = "unshare --pid --fork $INIT";
    session.run(&format!("{start} $PROBE hold &"));
    wait_until("rinit and its command", || {
        let unshare = *children(session.leader.pid).first()?;
        children(*children(unshare).first()?).first().copied()
    });
    session.line("echo still $((6 * 7))");
    session.expect("still 42");
    session.prompt();
    assert_eq!(session.foreground(), group_of(session.leader.pid));
    // In the foreground it hands over.
    session.line(&format!("{start} cat"));
    says(&mut session, "one");
    session.press(CTRL_Z);
    says(&mut session, "two");
    session.press(CTRL_C);
    session.prompt();
    session.line("echo code=$?.");
    session.expect("code=130.");
}

/// What an interactive bash in a container owes its user.
fn interactive_bash(session: &mut Session) {
    session.prompt();
    // Docker's terminal gets its size late, and bash then shows its prompt once more; and it echoes what a command is
    // typed.
    session.line("until [ \"$(stty size)\" = '24 200' ]; do sleep 0.1; done; stty -echo; echo qui''et");
    session.expect("quiet");
    session.prompt();
    job_control(session);
    session.resize(33, 101);
    session.line("until [ \"$(stty size)\" = '33 101' ]; do sleep 0.1; done; echo resi''zed");
    session.expect("resized");
    session.prompt();
    session.line("exit 7");
    assert_eq!(session.leader.exit_code(), 7);
}

fn docker_run_it_and_docker_exec_it_give_a_whole_bash() {
    let image = Image::new();
    let environment = format!("PS1={PROMPT}");
    let bash = ["/rinit", "bash", "--norc", "--noprofile", "-i"];
    interactive_bash(&mut image.run(&["-it", "--env", &environment], &bash).session);
    // A container that somebody else started: with rinit again for the command, and without.
    let container = image.run(&[], &["/rinit", "/probe", "hold"]);
    let rinit = container.pid();
    wait_until("its command", || children(rinit).first().copied());
    interactive_bash(&mut container.exec(&bash));
    interactive_bash(&mut container.exec(&bash[1..]));
}

fn docker_run_it_passes_keys_and_stops() {
    let image = Image::new();
    let echo = ["/rinit", "bash", "-c", "while read word; do echo out:$word; done"];
    let mut container = image.run(&["-it"], &echo);
    let command = container.command();
    for round in 0..3 {
        container.session.press(CTRL_Z);
        container.session.line(&format!("round{round}"));
        container.session.expect(&format!("out:round{round}"));
        container.kill("TSTP");
        wait_until_stopped(command, true);
        container.session.line("later");
        container.kill("CONT");
        wait_until_stopped(command, false);
        container.session.expect("out:later");
    }
    container.session.press(CTRL_C);
    assert_eq!(container.session.leader.exit_code(), 130);

    let mut container = image.run(&["-it"], &["/rinit", "/probe", "hold"]);
    container.command();
    container.session.press(CTRL_BACKSLASH);
    assert_eq!(container.session.leader.exit_code(), 131);
}
