//! Moments of a stop that are too short to be met by chance: rinit, or the child that becomes its command, is held.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use libc::{c_int, pid_t};

use crate::harness::pty::{BASH, CTRL_C, CTRL_Z, Session, group_of};
use crate::harness::shell::{is_pending, probe_of, wait_until_stopped, wait_until_taken};
use crate::harness::trace::{HeldProcess, with_blocked};
use crate::harness::{
    BOTH_ROLES, Role, TempDir, children, command, is_waiting, kill, probe, program, rinit, state, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_continue_before_rinit_has_seen_the_stop_leaves_nothing_behind,
    ctrl_z_before_rinit_has_seen_the_continue_suspends_the_job requires [Program("strace")],
    ctrl_z_before_rinit_has_taken_the_shells_continue_suspends_the_job_again requires [Program("strace")],
    a_stop_that_somebody_sends_before_rinit_has_seen_a_continue_lasts requires [Program("strace")],
    a_stop_before_the_command_has_its_own_group_does_not_hold_rinit_without_a_terminal requires [Program("strace")],
    a_stop_before_the_command_has_its_own_group_still_stops_it_without_a_terminal requires [Program("strace")],
    a_real_time_signal_before_the_command_has_its_own_group_arrives_once requires [Program("strace")],
    ctrl_z_before_the_command_has_its_own_group_suspends_the_job requires [Program("strace")],
}

/// A process that is held until this is dropped: PTRACE_INTERRUPT(2const). (A SIGSTOP would need a SIGCONT after it,
/// which rinit forwards.)
struct Held(pid_t);

impl Held {
    fn hold(pid: pid_t) -> Self {
        // SAFETY: numbers only; the status is a live int.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0), 0);
            let mut status: c_int = 0;
            assert_eq!(libc::waitpid(pid, &mut status, libc::__WALL), pid);
        }
        Self(pid)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: numbers only.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}

fn a_continue_before_rinit_has_seen_the_stop_leaves_nothing_behind() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            println!("{role:?}, {options:?}");
            let probe = probe();
            // It stops only when a line has come, with the SIGTSTP that it was sent before.
            let words = [options, &[&*probe, "take-stop", "later", "cat"]].concat();
            let mut session = Session::start(role, command(&words));
            session.expect("ready");
            let cat = session.command();
            session.leader.kill(libc::SIGTSTP);
            wait_until_taken(session.leader.pid, libc::SIGTSTP);
            let held = Held::hold(session.leader.pid);
            session.line("");
            wait_until_stopped(cat, true);
            kill(cat, libc::SIGCONT);
            session.expect("taken");
            drop(held);
            // The next stop is the kernel's news instead, if it comes before rinit has looked.
            wait_until_taken(session.leader.pid, libc::SIGCHLD);
            for round in 0..3 {
                session.press(CTRL_Z);
                session.line(&format!("round {round}"));
                session.expect(&format!("round {round}"));
            }
            session.press(CTRL_C);
            assert_eq!(session.leader.exit_code(), 130);
        }
    }
}

/// Starts a job under bash whose rinit is held by strace, at each of these calls. The foreground stays with rinit's group, so
/// rinit gets the keys' signals. Returns the pids of rinit and the command.
fn start_held_job(session: &mut Session, strace: &str, init: &str) -> (pid_t, pid_t) {
    session.line(&format!("strace -DDD -o /dev/null {strace} {init} {} hold | cat", probe()));
    wait_until("the command", || {
        let job = *children(session.leader.pid).first()?;
        Some((job, probe_of(job)?))
    })
}

fn ctrl_z_before_rinit_has_seen_the_continue_suspends_the_job() {
    let mut session = Session::shell(BASH);
    // It is held after each signal that it sends.
    let strace = "-e trace=kill -e inject=kill:delay_exit=500000";
    let (_, command) = start_held_job(&mut session, strace, "$INIT");
    // From the second time on, rinit is still held after it has continued the command.
    for _ in 0..4 {
        session.press(CTRL_Z);
        session.expect("Stopped");
        session.prompt();
        // If rinit takes the command for stopped, it stops itself alone.
        wait_until_stopped(command, true);
        session.line("fg");
        wait_until_stopped(command, false);
    }
    session.press(CTRL_C);
    session.prompt();
}

fn a_stop_that_somebody_sends_before_rinit_has_seen_a_continue_lasts() {
    for role in BOTH_ROLES {
        // rinit is held after the first signal that it sends: the continue in answer to Ctrl-Z.
        let mut strace = program("strace");
        strace.args(["-DDD", "-o", "/dev/null", "-e", "trace=kill", "-e", "inject=kill:delay_exit=1000000:when=1"]);
        strace.arg(rinit()).args(["-vv", &probe(), "hold"]);
        let mut session = Session::start(role, strace);
        let rinit = session.leader.pid;
        let command = wait_until("the command", || probe_of(rinit));
        session.wait_until_foreground(group_of(command));
        wait_until("rinit to wait", || is_waiting(rinit).then_some(()));
        session.press(CTRL_Z);
        session.expect("was stopped by SIGTSTP");
        wait_until("rinit to be held", || (state(rinit) == Some('t') && state(command) == Some('S')).then_some(()));
        // The command is kept from stopping until rinit has looked for a change.
        let held = Held::hold(command);
        kill(rinit, libc::SIGTSTP);
        wait_until("the stop to be forwarded", || is_pending(command, libc::SIGTSTP).then_some(()));
        wait_until("rinit to wait", || is_waiting(rinit).then_some(()));
        drop(held);
        session.expect("was stopped by SIGTSTP");
        wait_until_taken(rinit, libc::SIGCHLD);
        assert_eq!(state(command), Some('T'), "{role:?}");
    }
}

fn ctrl_z_before_rinit_has_taken_the_shells_continue_suspends_the_job_again() {
    let temp = TempDir::new();
    for init in [temp.copy(rinit(), "rinit"), temp.copy(rinit(), "dumb-init") + " -c"] {
        let mut session = Session::shell(BASH);
        // It is held before each signal that it takes.
        let strace = "-e trace=rt_sigtimedwait -e inject=rt_sigtimedwait:delay_enter=500000";
        let (job, command) = start_held_job(&mut session, strace, &init);
        session.press(CTRL_Z);
        session.expect("Stopped");
        session.prompt();
        session.line("fg");
        wait_until("rinit to be sent the continue", || {
            (is_pending(job, libc::SIGCONT) || state(command) != Some('T')).then_some(())
        });
        session.press(CTRL_Z);
        session.expect("Stopped");
        session.prompt();
        session.line("fg");
        wait_until_stopped(command, false);
        session.press(CTRL_C);
        session.prompt();
    }
}

fn a_stop_before_the_command_has_its_own_group_does_not_hold_rinit_without_a_terminal() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("ready");
        // A group that is rinit's alone, and no terminal.
        let held = HeldProcess::new(role, &[&probe(), "obey", "7", &file], |command| {
            let command = command.stdin(Stdio::null());
            // SAFETY: a system call only.
            unsafe {
                command.pre_exec(|| match libc::setsid() {
                    -1 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                })
            }
        });
        // The child is held there, still of rinit's group, and rinit waits for its exec.
        let inject = "inject=setpgid:delay_enter=1000000:when=1";
        let mut traced = held.traced(&["-f", "-e", "trace=setpgid", "-e", inject]);
        wait_until("the child", || children(traced.pid).first().copied());
        kill(-traced.pid, libc::SIGTSTP);
        // Whatever the stop did to the command, a continue undoes it, and rinit passes it on.
        wait_until("rinit to take signals again", || {
            kill(traced.pid, libc::SIGCONT);
            std::fs::exists(&file).unwrap().then_some(())
        });
        wait_until_ready(&file);
        kill(traced.pid, libc::SIGTERM);
        kill(traced.pid, libc::SIGCONT);
        assert_eq!(traced.running.exit_code(), 7, "{role:?}");
    }
}

fn a_stop_before_the_command_has_its_own_group_still_stops_it_without_a_terminal() {
    let temp = TempDir::new();
    let file = temp.file("ready");
    let held = HeldProcess::new(Role::Subreaper, &[&probe(), "obey", "7", &file], |command| {
        let command = command.stdin(Stdio::null());
        // SAFETY: a system call only.
        unsafe {
            command.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            })
        }
    });
    let mut traced = held.traced(&["-f", "-e", "trace=setpgid", "-e", "inject=setpgid:delay_enter=1000000:when=1"]);
    let child = wait_until("the child", || children(traced.pid).first().copied());
    kill(-traced.pid, libc::SIGTSTP);
    // It was for the command as well, which was of that group. strace shows a stop as its own, and many looks in a row tell
    // it from the moment that any call takes.
    let program = std::fs::canonicalize(probe()).unwrap();
    let mut looks = 0;
    wait_until("the command to stop", || {
        let has_begun = std::fs::read_link(format!("/proc/{child}/exe")).is_ok_and(|exe| exe == program);
        looks = if has_begun && matches!(state(child), Some('T' | 't')) { looks + 1 } else { 0 };
        (looks >= 50).then_some(())
    });
    kill(traced.pid, libc::SIGCONT);
    wait_until_ready(&file);
    kill(traced.pid, libc::SIGTERM);
    assert_eq!(traced.running.exit_code(), 7);
}

fn a_real_time_signal_before_the_command_has_its_own_group_arrives_once() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let held = HeldProcess::new(Role::Subreaper, &[&probe(), "record", &file], |command| {
        let command = with_blocked(command.stdin(Stdio::null()), &[40]);
        // SAFETY: a system call only.
        unsafe {
            command.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            })
        }
    });
    let traced = held.traced(&["-f", "-e", "trace=setpgid", "-e", "inject=setpgid:delay_enter=1000000:when=1"]);
    wait_until("the child", || children(traced.pid).first().copied());
    kill(-traced.pid, 40);
    wait_until_ready(&file);
    // The signal that comes after it shows that no other one is on its way.
    kill(traced.pid, 41);
    wait_until_recorded(&file, &["40 plain", "41 plain"]);
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
        session.says("hello");
        session.press(CTRL_C);
        session.prompt();
    }
}
