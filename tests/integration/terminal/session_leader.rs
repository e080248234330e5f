//! rinit leads the session: as a container's PID 1, or because whoever started it (LXC, ssh, a program with a terminal
//! of its own) made it so. Nobody above could give it the terminal.

use libc::pid_t;

use crate::harness::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, Session, group_of};
use crate::harness::shell::{SHELLS, UserShell, wait_until_stopped};
use crate::harness::{BOTH_ROLES, command, kill, probe, program, rinit, state, wait_until};

tests! {
    requires [Namespaces];
    a_foreground_group_that_has_died_is_replaced,
    a_foreground_group_that_has_died_is_replaced_in_a_job requires [Program("zsh")],
    a_command_that_asks_for_the_terminal_it_has_goes_on,
    a_terminal_that_is_nobodys_is_acquired,
    an_interactive_shell_on_a_terminal_that_was_nobodys_has_job_control requires [Program("zsh")],
    a_terminal_of_another_session_is_not_taken requires [Program("zsh")],
    who_does_not_lead_the_session_acquires_nothing,
}

/// Options for each scope.
const SCOPES: [&[&str]; 3] = [&[], &["-c"], &["-a"]];

/// The number of a process's controlling terminal, 0 for none: proc_pid_stat(5), tty_nr.
fn terminal_of(pid: pid_t) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(4).unwrap().parse().unwrap()
}

fn a_foreground_group_that_has_died_is_replaced() {
    for role in BOTH_ROLES {
        for options in SCOPES {
            // An interactive shell takes the terminal, and is killed before it can give it back.
            let words =
                [options, &["bash", "-c", "bash --norc -i -c 'kill -9 $$'; read x; echo got=$x; exec cat"]].concat();
            println!("{role:?}, {words:?}");
            let mut session = Session::start(role, command(&words));
            session.line("a line");
            session.expect("got=a line");
            let command = session.command();
            session.press(CTRL_Z);
            session.line("another");
            session.expect("another");
            wait_until_stopped(command, false);
            session.press(CTRL_C);
            assert_eq!(session.leader.exit_code(), 130);
        }
    }
}

fn a_foreground_group_that_has_died_is_replaced_in_a_job() {
    UserShell::each(|user| {
        user.enter("INIT -- bash -c 'bash --norc -i -c \"kill -9 \\$\\$\"; read x; echo got=$x'");
        let job = user.started_job();
        wait_until("the command to have the foreground", || (user.foreground() == group_of(job.command)).then_some(()));
        user.line("a line");
        user.expect("got=a line");
        user.prompt();
        assert!(user.has_foreground());
    });
}

fn a_command_that_asks_for_the_terminal_it_has_goes_on() {
    // bash asks by SIGTTIN until it sees itself in the foreground; it may have come there meanwhile.
    for role in BOTH_ROLES {
        for options in SCOPES {
            let words = [options, &["cat"]].concat();
            println!("{role:?}, {words:?}");
            let mut session = Session::start(role, command(&words));
            let command = session.command();
            for signal in [libc::SIGTTIN, libc::SIGTTOU] {
                kill(command, signal);
                session.line("a line");
                session.expect("a line");
                wait_until_stopped(command, false);
            }
            session.press(CTRL_D);
            assert_eq!(session.leader.exit_code(), 0);
        }
    }
}

fn a_terminal_that_is_nobodys_is_acquired() {
    for role in BOTH_ROLES {
        for options in SCOPES {
            println!("{role:?}, {options:?}");
            for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
                let probe = probe();
                let words = [options, &[&*probe, "hold"]].concat();
                let mut session = Session::start_without_terminal(role, command(&words));
                let command = session.command();
                assert_ne!(terminal_of(session.leader.pid), 0);
                assert_eq!(terminal_of(session.leader.pid), terminal_of(command));
                session.press(CTRL_Z);
                wait_until_stopped(command, false);
                session.press(key);
                assert_eq!(session.leader.exit_code(), code);
            }
        }
    }
}

fn an_interactive_shell_on_a_terminal_that_was_nobodys_has_job_control() {
    for shell in SHELLS {
        for role in BOTH_ROLES {
            println!("{shell:?}, {role:?}");
            let mut session = Session::start_without_terminal(role, command(shell.interactive()));
            session.prompt();
            let complaints = session.rest().to_owned();
            assert!(!complaints.contains("job control"), "{complaints}");
            shell.has_job_control(&mut session);
            session.line("exit 7");
            assert_eq!(session.leader.exit_code(), 7);
        }
    }
}

fn a_terminal_of_another_session_is_not_taken() {
    for shell in SHELLS {
        let mut user = UserShell::start(shell, crate::harness::shell::Place::Machine);
        let terminal = terminal_of(user.pid);
        // As root rinit might even steal it: TIOCSCTTY(2const).
        for options in ["", "-c", "-a"] {
            println!("{shell:?}, options {options:?}");
            user.options = options;
            user.enter("setsid --fork INIT HOLD");
            user.prompt();
            let all = || crate::harness::shell::processes_of(&rinit(), user.pid);
            let leader = wait_until("rinit in a session of its own", || all().first().copied());
            let held = wait_until("its command", || {
                let child = crate::harness::children(leader).first().copied()?;
                crate::harness::is_waiting(leader).then_some(child)
            });
            assert_eq!([leader, held].map(terminal_of), [0; 2]);
            assert_eq!(terminal_of(user.pid), terminal);
            assert!(user.has_foreground());
            user.line("echo still $((6 * 7))");
            user.expect("still 42");
            user.prompt();
            kill(leader, libc::SIGTERM);
            wait_until("rinit to end", || matches!(state(leader), None | Some('Z')).then_some(()));
        }
    }
}

fn who_does_not_lead_the_session_acquires_nothing() {
    for role in BOTH_ROLES {
        // The session's leader is the shell above it.
        let mut script = program("sh");
        script.args(["-c", "\"$0\" \"$1\" hold; exit $?"]).arg(rinit()).arg(probe());
        let mut session = Session::start_without_terminal(role, script);
        let (rinit, command) = session.background_job();
        wait_until("rinit to wait", || crate::harness::is_waiting(rinit).then_some(()));
        assert_eq!([session.leader.pid, rinit, command].map(terminal_of), [0; 3]);
        kill(rinit, libc::SIGTERM);
        assert_eq!(session.leader.exit_code(), 143);
    }
}
