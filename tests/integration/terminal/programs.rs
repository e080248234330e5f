//! Programs that people run on terminals: editors, pagers, shells, and what starts a program on a terminal of its own.

use crate::harness::pty::{BASH, CTRL_C, CTRL_D, CTRL_Z, Session, group_of};
use crate::harness::shell::{Owner, SHELLS, Shell, UserShell, wait_until_stopped};
use crate::harness::{BOTH_ROLES, TempDir, children, command, is_waiting, kill, state, wait_until};

tests! {
    requires [Namespaces];
    vi_works requires [Program("vim"), Program("zsh")],
    less_works requires [Program("less"), Program("zsh")],
    rinits_below_each_other_are_one_job requires [Program("zsh")],
    a_terminal_of_a_commands_own_is_its_commands requires [Program("zsh")],
    a_shell_of_another_user_is_suspended_and_resumed requires [Program("zsh")],
    messages_do_not_stop_it_where_background_output_stops,
    an_interactive_shell_below_it_has_job_control requires [Program("zsh")],
    an_interactive_shell_between_two_is_the_outer_ones_job requires [Program("zsh")],
    a_namespace_made_by_hand_in_the_background_leaves_the_typing_user_alone,
}

const TEXT: &[u8] = b"a line to look at\n";

fn vi_works() {
    let temp = TempDir::new();
    let text = temp.write("text", TEXT, 0o644);
    let is_edited = || {
        let is_edited = std::fs::read_to_string(&text).unwrap() == "New words\na line to look at\n";
        temp.write("text", TEXT, 0o644);
        is_edited
    };
    let editor = ["vim", "-u", "NONE", "-n", &text];
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&editor));
        session.expect("a line to look at");
        session.wait_until_key_is_awaited("vim");
        // It suspends itself, finds that it goes on, and draws its screen anew.
        session.press(CTRL_Z);
        session.expect("a line to look at");
        session.wait_until_key_is_awaited("vim");
        session.press("ggONew words\x1b:wq\n");
        assert_eq!(session.leader.exit_code(), 0);
        assert!(is_edited());
    }
    UserShell::each(|user| {
        user.enter(&format!("INIT {}", editor.join(" ")));
        user.expect("a line to look at");
        let job = user.started_job();
        user.wait_until_key_is_awaited("vim");
        user.press(CTRL_Z);
        user.expect_stopped();
        assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
        user.line("fg");
        user.expect("a line to look at");
        assert_eq!(user.owner(job), Owner::Command);
        user.wait_until_key_is_awaited("vim");
        user.press("ggONew words\x1b:wq\n");
        user.prompt();
        assert!(is_edited());
    });
}

fn less_works() {
    let temp = TempDir::new();
    let text = temp.write("text", TEXT, 0o644);
    for role in BOTH_ROLES {
        let mut session = Session::start(role, command(&["less", "-X", &text]));
        session.expect("(END)");
        session.command();
        for _ in 0..2 {
            session.wait_until_key_is_awaited("less");
            session.press(CTRL_Z);
            session.expect("(END)");
        }
        session.wait_until_key_is_awaited("less");
        session.press("q");
        assert_eq!(session.leader.exit_code(), 0);
    }
    UserShell::each(|user| {
        user.enter(&format!("INIT less -X {text}"));
        user.expect("(END)");
        let job = user.started_job();
        for _ in 0..2 {
            user.wait_until_key_is_awaited("less");
            user.press(CTRL_Z);
            user.expect_stopped();
            user.line("fg");
            user.expect("(END)");
            assert_eq!(user.owner(job), Owner::Command);
        }
        user.wait_until_key_is_awaited("less");
        user.press("q");
        user.prompt();
        user.expect_code(0);
    });
}

fn rinits_below_each_other_are_one_job() {
    UserShell::each(|user| {
        let job = user.enter_job("INIT INIT INIT cat");
        user.says("first");
        for round in 0..2 {
            user.press(CTRL_Z);
            user.expect_stopped();
            assert!(user.has_foreground());
            user.line("fg");
            user.wait_until_owner(job, &[Owner::Command]);
            user.says(&format!("round {round}"));
            // With --all each of them passes SIGCONT on, and the last one may come after the echo.
            assert_eq!(user.job(), job);
        }
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
        user.enter_job("cat | INIT INIT sed -u 's/^/got:/' | INIT INIT cat");
        user.line("a line");
        user.expect("got:a line");
        user.press(CTRL_D);
        user.prompt();
        user.expect_code(0);
        assert!(user.has_foreground());
    });
}

fn a_terminal_of_a_commands_own_is_its_commands() {
    UserShell::each(|user| {
        // script(1) makes a terminal and leads its command's session there: below rinit, and above it.
        user.enter("INIT script --quiet --return --command cat /dev/null");
        user.wait_until_key_is_awaited("cat");
        user.says("one");
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
        user.enter("script --quiet --return --command 'INIT cat' /dev/null");
        user.wait_until_key_is_awaited("cat");
        user.says("two");
        user.press(CTRL_Z);
        user.says("three");
        user.press(CTRL_C);
        user.prompt();
        user.expect_code(130);
        assert!(user.has_foreground());
    });
}

fn a_shell_of_another_user_is_suspended_and_resumed() {
    UserShell::each(|user| {
        // su(1) waits between rinit and the shell, and stops itself when the shell does.
        user.enter("INIT su --preserve-environment --shell /bin/bash -- root --norc --noprofile -i");
        user.prompt();
        Shell::Bash.has_job_control(user);
        let job = user.started_job();
        for _ in 0..2 {
            // With -a it continues one process after the other, and su continues the shell as well.
            wait_until("rinit to have nothing to do", || is_waiting(job.rinit).then_some(()));
            wait_until("su to wait for the shell", || (state(job.command) == Some('S')).then_some(()));
            user.line("suspend");
            user.expect_stopped();
            assert!(user.has_foreground());
            user.line("fg");
            wait_until_stopped(job.command, false);
            user.press("\n");
            user.prompt();
            user.line("echo $((6 * 7))");
            user.expect("42");
            user.prompt();
        }
        user.run("exit 7");
        user.expect_code(7);
        user.wait_until_alone();
        assert!(user.has_foreground());
    });
}

fn messages_do_not_stop_it_where_background_output_stops() {
    let mut session = Session::shell(BASH);
    session.run("stty tostop");
    // rinit is in the background all the time; the orphans make it write.
    session.run_rinit("-vvv -w sh -c '(true &); (true &); read line; echo got $line' ");
    session.expect("running 'sh'");
    let (rinit, command) = session.new_job();
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
    for shell in SHELLS {
        for role in BOTH_ROLES {
            for options in [&[][..], &["-c"], &["-a"]] {
                println!("{shell:?}, {role:?}, {options:?}");
                let words = [options, shell.interactive()].concat();
                let mut session = Session::start(role, command(&words));
                session.prompt();
                let complaints = session.rest().to_owned();
                assert!(!complaints.contains("job control"), "{complaints}");
                shell.has_job_control(&mut session);
                session.line("exit 7");
                assert_eq!(session.leader.exit_code(), 7);
            }
        }
    }
}

fn an_interactive_shell_between_two_is_the_outer_ones_job() {
    UserShell::each(|user| {
        user.enter(&format!("INIT {}", BASH.join(" ")));
        user.prompt();
        let job = user.started_job();
        for _ in 0..2 {
            Shell::Bash.has_job_control(user);
            // The inner one's own suspension.
            user.line("suspend");
            user.expect_stopped();
            assert_eq!([job.rinit, job.command].map(state), [Some('T'); 2]);
            assert!(user.has_foreground());
            user.line("fg");
            user.wait_until_foreground(group_of(job.command));
        }
        user.run("exit 7");
        user.expect_code(7);
    });
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
    session.says("one");
    session.press(CTRL_Z);
    session.says("two");
    session.press(CTRL_C);
    session.prompt();
    session.line("echo code=$?.");
    session.expect("code=130.");
}
