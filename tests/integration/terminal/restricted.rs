//! Terminals that are not as they should be: a sandbox that refuses a call, a /dev/tty that is something else.

use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{fs, io};

use libc::pid_t;

use crate::harness::pty::{CTRL_C, CTRL_Z, Session, group_of};
use crate::harness::shell::{UserShell, probe_of, wait_until_stopped};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, command, is_waiting, kill, open_descriptors, probe, program, rinit, state,
    status_line, wait_until,
};

tests! {
    requires [Namespaces];
    a_sandbox_that_refuses_the_hand_over_makes_no_loop,
    a_sandbox_that_refuses_the_hand_over_makes_no_loop_in_a_job requires [Program("zsh")],
    a_sandbox_that_refuses_to_change_the_mask_makes_no_loop_in_a_job requires [Program("zsh"), Program("strace")],
    what_is_no_terminal_is_not_taken_for_one,
    a_terminal_is_found_by_standard_input_where_dev_tty_is_something_else,
    a_job_is_stopped_by_nobody_where_dev_tty_is_something_else,
}

/// What a process has done so far: how often it gave its processor away, or lost it.
fn switches(pid: pid_t) -> Option<(String, String)> {
    Some((status_line(pid, "voluntary_ctxt_switches")?, status_line(pid, "nonvoluntary_ctxt_switches")?))
}

/// Waits until two processes do nothing, through many looks in a row. One that only waits for its turn is not idle.
fn wait_until_idle(pids: [pid_t; 2]) {
    let mut before = pids.map(switches);
    let mut same = 0;
    wait_until("rinit and its command to be idle", || {
        let now = pids.map(switches);
        let rests = pids.into_iter().all(|pid| matches!(state(pid), Some('S' | 'T')));
        same = if rests && now == before { same + 1 } else { 0 };
        before = now;
        (same >= 50).then_some(())
    });
}

fn a_sandbox_that_refuses_the_hand_over_makes_no_loop() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            println!("{role:?}, {options:?}");
            let mut start = program(probe());
            start.arg("refuse-foreground").arg(rinit()).args(options).arg("cat");
            let mut session = Session::start(role, start);
            let cat = session.leader.main_child();
            // It reads in the background.
            wait_until_stopped(cat, true);
            wait_until_idle([session.leader.pid, cat]);
            session.leader.kill(libc::SIGTERM);
            session.leader.kill(libc::SIGCONT);
            assert_eq!(session.leader.exit_code(), 143);
        }
    }
}

fn a_sandbox_that_refuses_the_hand_over_makes_no_loop_in_a_job() {
    UserShell::each(|user| {
        user.enter("PROBE refuse-foreground INIT cat");
        let job = user.started_job();
        wait_until_stopped(job.command, true);
        wait_until_idle([job.rinit, job.command]);
        // A job that is stopped, like any other in the background; or one that rinit holds in the foreground.
        if state(job.rinit) != Some('T') {
            user.press(CTRL_C);
        }
        kill(job.rinit, libc::SIGTERM);
        kill(job.rinit, libc::SIGCONT);
        user.prompt();
        user.wait_until_alone();
        assert!(user.has_foreground());
    });
}

fn a_sandbox_that_refuses_to_change_the_mask_makes_no_loop_in_a_job() {
    // rinit starts with the first call. With the others it would stop itself.
    let strace = "strace -DDD -o /dev/null -e trace=rt_sigprocmask -e inject=rt_sigprocmask:error=EPERM:when=2+";
    UserShell::each(|user| {
        for (line, keys) in [("INIT HOLD", CTRL_Z), ("INIT HOLD | HOLD", CTRL_Z), ("INIT HOLD", "")] {
            user.enter(&format!("{strace} {line}"));
            let job = user.started_job();
            let command = wait_until("the command", || probe_of(job.rinit));
            wait_until("rinit to wait", || is_waiting(job.rinit).then_some(()));
            if keys.is_empty() {
                kill(command, libc::SIGSTOP);
            } else {
                user.press(keys);
            }
            wait_until_idle([job.rinit, command]);
            // If strace ends first, as with -a it may, rinit is stopped now.
            kill(job.rinit, libc::SIGKILL);
            user.end_probes();
            user.prompt();
            user.wait_until_alone();
        }
    });
}

/// Has the command see this instead of /dev/tty.
fn with_dev_tty<'a>(command: &'a mut Command, instead: &str) -> &'a mut Command {
    let instead = CString::new(instead).unwrap();
    // SAFETY: a system call only; the mount namespace is the command's own.
    unsafe {
        command.pre_exec(move || {
            let none = std::ptr::null();
            match libc::mount(instead.as_ptr(), c"/dev/tty".as_ptr(), none, libc::MS_BIND, none.cast()) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    }
}

/// What may be found by the name of /dev/tty: a regular file, a FIFO, another device.
fn instead_of_dev_tty(temp: &TempDir) -> [String; 4] {
    let file = temp.write("file", b"content", 0o644);
    let fifo = temp.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    [file, fifo, "/dev/null".to_owned(), "/dev/ptmx".to_owned()]
}

fn what_is_no_terminal_is_not_taken_for_one() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        for instead in instead_of_dev_tty(&temp) {
            println!("{role:?}, {instead}");
            let mut start = command(&[&probe(), "hold"]);
            // Without a terminal: it is the tests' own session, or one that has none.
            // SAFETY: a system call only.
            unsafe {
                start.pre_exec(|| if libc::setsid() == -1 { Err(io::Error::last_os_error()) } else { Ok(()) });
            }
            with_dev_tty(&mut start, &instead);
            let mut running = Running::spawn(role, &mut start);
            let command = running.main_child();
            wait_until("rinit to keep only stderr", || (open_descriptors(running.pid) == [2]).then_some(()));
            // There is no shell that a stop could be for.
            kill(command, libc::SIGSTOP);
            wait_until_stopped(command, true);
            wait_until_idle([running.pid, command]);
            kill(command, libc::SIGCONT);
            wait_until_stopped(command, false);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 143);
        }
        assert_eq!(fs::read(temp.file("file")).unwrap(), b"content");
    }
}

fn a_terminal_is_found_by_standard_input_where_dev_tty_is_something_else() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        for instead in instead_of_dev_tty(&temp) {
            println!("{role:?}, {instead}");
            let mut start = command(&["cat"]);
            with_dev_tty(&mut start, &instead);
            let mut session = Session::start(role, start);
            let cat = session.command();
            assert_eq!(session.foreground(), group_of(cat));
            session.line("a line");
            session.expect("a line");
            session.press(CTRL_Z);
            session.line("another");
            session.expect("another");
            session.press(CTRL_C);
            assert_eq!(session.leader.exit_code(), 130);
        }
        assert_eq!(fs::read(temp.file("file")).unwrap(), b"content");
    }
}

fn a_job_is_stopped_by_nobody_where_dev_tty_is_something_else() {
    let temp = TempDir::new();
    // Its session has a terminal, which rinit cannot find: its standard descriptors are elsewhere.
    for instead in instead_of_dev_tty(&temp) {
        println!("{instead}");
        let mut script = program("sh");
        let start = "\"$0\" \"$1\" hold </dev/null >/dev/null 2>&1; exit $?";
        script.args(["-c", start]).arg(rinit()).arg(probe());
        with_dev_tty(&mut script, &instead);
        let mut session = Session::start(Role::Subreaper, script);
        let (rinit, command) = session.background_job();
        kill(command, libc::SIGSTOP);
        wait_until_stopped(command, true);
        wait_until_idle([rinit, command]);
        assert_ne!(state(rinit), Some('T'));
        kill(command, libc::SIGCONT);
        wait_until_stopped(command, false);
        session.press(CTRL_C);
        // The terminal sent it to rinit's group, the script's, and rinit to the command.
        wait_until("the command to end", || state(command).is_none().then_some(()));
        session.leader.status();
    }
}
