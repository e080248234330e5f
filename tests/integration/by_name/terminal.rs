//! What a user's keys do, in a shell's job and in a container, under the original and under rinit with its name.
//!
//! Ctrl-Z under tini and catatonit is not here: it hangs the shell's terminal.

use super::{Faults, init, original_and_rinit};
use crate::harness::pty::{BASH, CTRL_C, CTRL_Z, DASH, PROMPT, Session, group_of};
use crate::harness::{Role, TempDir, children, probe, state, wait_until};

tests! {
    requires [Namespaces, Program("tini"), Program("catatonit"), Program("dumb-init")];
    ctrl_c_ends_a_job_with_the_code_that_the_shell_sees_with_the_original,
    ctrl_z_and_fg_do_to_a_job_what_they_do_with_dumb_init,
    an_interactive_shell_as_the_command_of_pid_1_works_as_with_the_original,
    the_command_of_pid_1_has_the_controlling_terminal_that_it_has_with_the_original,
}

/// Starts a job of the shell's that holds the terminal. Returns the init and the command.
fn start_job(session: &mut Session, path: &str, options: &str) -> [libc::pid_t; 2] {
    session.line(&format!("{path} {options} -- sh -c 'echo be\"\"gun; exec {} hold'", probe()));
    // Not the line that was typed.
    session.expect("begun");
    let (init, command) = wait_until("the command", || {
        let init = *children(session.leader.pid).last()?;
        let command = *children(init).first()?;
        let name = std::fs::read_to_string(format!("/proc/{command}/comm")).ok()?;
        name.starts_with("probe").then_some((init, command))
    });
    wait_until("the job to be in the foreground", || is_in_foreground(session, init, command).then_some(()));
    [init, command]
}

fn is_in_foreground(session: &Session, init: libc::pid_t, command: libc::pid_t) -> bool {
    [init, command].map(group_of).contains(&session.foreground())
}

fn code(session: &mut Session) -> String {
    session.line("echo co\"\"de=$?.");
    session.expect("code=");
    session.expect(".")
}

fn ctrl_c_ends_a_job_with_the_code_that_the_shell_sees_with_the_original() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for shell in [BASH, DASH] {
        for (name, options) in [
            ("tini", ""),
            ("tini", "-g"),
            ("catatonit", ""),
            ("catatonit", "-g"),
            ("dumb-init", ""),
            ("dumb-init", "-c"),
        ] {
            let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
                let mut session = Session::shell(shell);
                start_job(&mut session, &path, options);
                session.press(CTRL_C);
                session.prompt();
                code(&mut session)
            });
            faults.compare(&format!("{name} {options} below {}", shell[0]), &theirs, &ours, None);
        }
    }
    faults.check();
}

fn ctrl_z_and_fg_do_to_a_job_what_they_do_with_dumb_init() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for shell in [BASH, DASH] {
        for options in ["", "-c"] {
            let [theirs, ours] = original_and_rinit(&temp, "dumb-init").map(|path| {
                let mut session = Session::shell(shell);
                let job = start_job(&mut session, &path, options);
                session.press(CTRL_Z);
                session.expect("Stopped");
                session.prompt();
                for pid in job {
                    wait_until("the job to stop", || (state(pid) == Some('T')).then_some(()));
                }
                session.line("fg");
                wait_until("the job to go on", || {
                    let [init, command] = job;
                    let runs = job.iter().all(|pid| state(*pid) == Some('S'));
                    (runs && is_in_foreground(&session, init, command)).then_some(())
                });
                session.press(CTRL_C);
                session.prompt();
                code(&mut session)
            });
            faults.compare(&format!("dumb-init {options} below {}", shell[0]), &theirs, &ours, None);
        }
    }
    faults.check();
}

fn an_interactive_shell_as_the_command_of_pid_1_works_as_with_the_original() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for (name, options) in [("tini", ""), ("tini", "-g"), ("dumb-init", ""), ("dumb-init", "-c")] {
        let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
            let mut command = init(&path, "", options);
            command.arg("--").args(BASH);
            let mut session = Session::start(Role::Pid1, command);
            let greeting = session.expect(PROMPT);
            let has_job_control = !greeting.contains("no job control");
            let shell = session.foreground();
            // Its foreground job is the one that the keys are for, and it is the shell that they come back to.
            session.line(&format!("sh -c 'echo be\"\"gun; exec {} hold'", probe()));
            // Not the line that was typed.
            session.expect("begun");
            session.press(CTRL_Z);
            session.expect("Stopped");
            session.prompt();
            session.line("fg");
            session.expect("hold");
            wait_until("the job to go on", || {
                let job = session.foreground();
                (job != shell && state(job) == Some('S')).then_some(())
            });
            session.press(CTRL_C);
            session.prompt();
            let code = code(&mut session);
            session.prompt();
            session.line("exit 7");
            (has_job_control, code, session.leader.exit_code())
        });
        faults.compare(&format!("{name} {options}"), &theirs, &ours, None);
    }
    faults.check();
}

fn the_command_of_pid_1_has_the_controlling_terminal_that_it_has_with_the_original() {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for (name, options) in [("tini", ""), ("dumb-init", ""), ("dumb-init", "-c")] {
        let [theirs, ours] = original_and_rinit(&temp, name).map(|path| {
            let mut command = init(&path, "", options);
            // A shell that is not interactive acquires no terminal by itself.
            command.args(["--", "sh", "-c", "if : </dev/tty; then exit 3; else exit 4; fi"]);
            Session::start(Role::Pid1, command).leader.exit_code()
        });
        faults.compare(&format!("{name} {options}"), &theirs, &ours, None);
    }
    faults.check();
}
