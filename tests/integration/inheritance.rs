//! What a process has from its starter beyond arguments and descriptors: a scheduling policy, children, a signal on the
//! parent's death, locks and timers. The command has it as without rinit, or the documentation says why not.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use libc::pid_t;

use crate::harness::engine::repository_file;
use crate::harness::pty::Session;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, count_zombies, is_waiting, kill, pid_of, probe, program,
    recorded_signals, rinit, run_to_end, state, status_line, wait_until, wait_until_ready, wait_until_recorded,
    wait_until_rinit,
};

tests! {
    requires [Namespaces];
    the_scheduling_policy_is_that_without_rinit requires [Root],
    a_policy_that_allows_no_fork_is_named_or_the_command_has_it requires [Root],
    a_sigkill_on_the_parents_death_takes_the_command_along,
    another_signal_on_the_parents_death_is_forwarded_and_ends_nothing,
    a_rinit_that_is_killed_leaves_the_command_alone_unless_it_was_to_die_with_its_parent,
    a_rinit_that_is_killed_while_the_command_starts_takes_it_along requires [Program("strace")],
    a_child_that_was_there_before_rinit_is_reaped_whatever_signal_its_end_sends,
    a_child_that_had_ended_before_rinit_began_is_reaped,
    a_grace_period_awaits_a_child_that_was_there_before_rinit,
    with_room_for_three_descriptors_messages_go_to_stderr_and_nowhere_else,
    with_room_for_three_descriptors_the_command_has_the_terminal,
    a_record_lock_does_not_get_to_the_command_and_the_documentation_says_so,
    a_timer_does_what_the_documentation_says,
    a_signal_about_rinits_own_processor_time_does_not_reach_the_command,
}

/// Starters that give a process a scheduling policy: chrt(1) and nice(1), sched(7).
const POLICIES: &[&[&str]] = &[
    &["chrt", "--other", "0"],
    &["chrt", "--batch", "0"],
    &["chrt", "--idle", "0"],
    &["chrt", "--fifo", "10"],
    &["chrt", "--rr", "10"],
    &["chrt", "--reset-on-fork", "--fifo", "10"],
    &["chrt", "--reset-on-fork", "--rr", "10"],
    &["chrt", "--reset-on-fork", "--other", "0", "nice", "-n", "-5"],
    &["nice", "-n", "-5"],
    &["nice", "-n", "5"],
];

fn the_scheduling_policy_is_that_without_rinit() {
    for role in BOTH_ROLES {
        for starter in POLICIES {
            let under = |between: &[&str]| {
                let mut command = program(starter[0]);
                command.args(&starter[1..]).args(between).args([&probe(), "scheduling"]);
                let outcome = run_to_end(role, &mut command);
                assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{role:?} {starter:?} {between:?}");
                outcome.stdout
            };
            let bare = under(&[]);
            assert!(bare.starts_with("policy "), "{bare}");
            assert_eq!(under(&[rinit().to_str().unwrap()]), bare, "{role:?} {starter:?}");
            assert_eq!(under(&[rinit().to_str().unwrap(), "-p", "WINCH"]), bare, "{role:?} {starter:?}");
        }
    }
}

/// SCHED_FLAG_RESET_ON_FORK: sched_setattr(2).
const RESET_ON_FORK: &str = "1";

fn a_policy_that_allows_no_fork_is_named_or_the_command_has_it() {
    for role in BOTH_ROLES {
        for flags in ["0", RESET_ON_FORK] {
            let under = |between: &[&str]| {
                let mut command = program(probe());
                command.args(["with-deadline", flags]);
                let path = between.first().map_or_else(probe, |path| (*path).to_owned());
                command.arg(path).args(between.get(1..).unwrap_or_default());
                if !between.is_empty() {
                    command.arg(probe());
                }
                run_to_end(role, command.arg("scheduling"))
            };
            let bare = under(&[]);
            assert_eq!(bare.code, 0, "{}", bare.stderr);
            let outcome = under(&[rinit().to_str().unwrap(), "--"]);
            match outcome.code {
                0 => assert_eq!(outcome.stdout, bare.stdout, "{role:?} {flags}"),
                code => {
                    assert_eq!(code, 125, "{role:?} {flags}: {}", outcome.stderr);
                    assert!(outcome.stderr.contains("SCHED_DEADLINE"), "{role:?} {flags}: {}", outcome.stderr);
                    assert!(!outcome.stderr.contains("limit on processes"), "{role:?} {flags}: {}", outcome.stderr);
                }
            }
        }
    }
}

/// Waits until a process is gone, or a zombie.
fn wait_until_gone(pid: pid_t) {
    wait_until("it to be gone", || matches!(state(pid), None | Some('Z' | 'X')).then_some(()));
}

fn a_sigkill_on_the_parents_death_takes_the_command_along() {
    // The shell is rinit's parent. What rinit inherits and what it is asked for are alike.
    for starter in [
        format!("{} -p KILL", rinit().to_str().unwrap()),
        format!("{} -c -p 9", rinit().to_str().unwrap()),
        format!("{} with-parent-death-signal 9 {}", probe(), rinit().to_str().unwrap()),
        format!("RINIT_PARENT_DEATH_SIGNAL=SIGKILL {}", rinit().to_str().unwrap()),
    ] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{starter} {} record {file} & wait", probe());
        let running = Running::spawn(Role::Subreaper, program("/bin/sh").args(["-c", &script]));
        wait_until_ready(&file);
        let main_child = pid_of(&file);
        let rinit: pid_t = status_line(main_child, "PPid").unwrap().parse().unwrap();
        running.kill(libc::SIGKILL);
        wait_until_gone(rinit);
        wait_until_gone(main_child);
        assert_eq!(recorded_signals(&file), Vec::<String>::new(), "{starter}");
    }
}

fn another_signal_on_the_parents_death_is_forwarded_and_ends_nothing() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let script =
        format!("{0} with-parent-death-signal 10 {1} {0} record {file} & wait", probe(), rinit().to_str().unwrap());
    let running = Running::spawn(Role::Subreaper, program("/bin/sh").args(["-c", &script]));
    wait_until_ready(&file);
    let main_child = pid_of(&file);
    running.kill(libc::SIGKILL);
    wait_until_recorded(&file, &["10 plain"]);
    assert_eq!(state(main_child), Some('S'));
}

fn a_rinit_that_is_killed_leaves_the_command_alone_unless_it_was_to_die_with_its_parent() {
    let rinit = rinit();
    let rinit = rinit.to_str().unwrap();
    for starter in
        [rinit.to_owned(), format!("{rinit} -p USR2"), format!("{} with-parent-death-signal 10 {rinit}", probe())]
    {
        let temp = TempDir::new();
        let file = temp.file("log");
        // The shell is rinit's parent, and lives on: to the kernel the thread that starts a process is its parent.
        let script = format!("{starter} {} record {file} & wait", probe());
        let _running = Running::spawn(Role::Subreaper, program("/bin/sh").args(["-c", &script]));
        wait_until_ready(&file);
        let main_child = pid_of(&file);
        let rinit: pid_t = status_line(main_child, "PPid").unwrap().parse().unwrap();
        kill(rinit, libc::SIGKILL);
        wait_until_gone(rinit);
        // One that is being killed takes no other signal.
        kill(main_child, libc::SIGHUP);
        wait_until_recorded(&file, &["1 plain"]);
    }
}

fn a_rinit_that_is_killed_while_the_command_starts_takes_it_along() {
    // The child asks for the signal when its parent has gone already: the kernel would never send it.
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut command = program("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:delay_enter=700000:when=1+"]);
    command.arg(rinit()).args(["-p", "KILL", &probe(), "record", &file]);
    let running = Running::spawn(Role::Subreaper, command.stderr(Stdio::null()));
    // strace's child is rinit, and rinit's child is on its way to the command.
    let in_prctl = |pid: pid_t| {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let number = call.split(' ').next().map(str::to_owned);
        number == Some(libc::SYS_prctl.to_string()) || state(pid) == Some('t')
    };
    let (rinit, child) = wait_until("the child to ask", || {
        let rinit = *children(running.pid).first()?;
        let child = *children(rinit).first()?;
        in_prctl(child).then_some((rinit, child))
    });
    kill(rinit, libc::SIGKILL);
    wait_until_gone(child);
    assert!(!fs::exists(&file).unwrap(), "the command has begun");
}

fn a_child_that_was_there_before_rinit_is_reaped_whatever_signal_its_end_sends() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-w"], &["--grace", "1h"]] {
            for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD, 0, 40] {
                let temp = TempDir::new();
                let (file, main) = (temp.file("child"), temp.file("main"));
                let mut command = program(probe());
                command.args(["with-child", &signal.to_string(), &file]).arg(rinit()).args(options);
                command.args([&probe(), "record", &main, "15", "4"]).stderr(Stdio::null());
                let mut running = Running::spawn(role, &mut command);
                wait_until_ready(&main);
                wait_until_ready(&file);
                let child = pid_of(&file);
                assert_eq!(children(running.pid).len(), 2);
                kill(child, libc::SIGUSR2);
                wait_until("it to be reaped", || (!children(running.pid).contains(&child)).then_some(()));
                running.kill(libc::SIGTERM);
                assert_eq!(running.exit_code(), 4, "{role:?} {options:?} {signal}");
            }
        }
    }
}

fn a_child_that_had_ended_before_rinit_began_is_reaped() {
    for role in BOTH_ROLES {
        for options in [&["-w", "--", "/bin/sh", "-c", "sleep 1000"][..], &["--pause"]] {
            let mut command = program(probe());
            command.arg("with-zombie").arg(rinit()).args(options);
            let running = Running::spawn_captured(role, &mut command);
            wait_until_rinit(running.pid);
            // Nothing else ends, so no signal tells of it.
            wait_until("it to be reaped", || {
                (is_waiting(running.pid) && count_zombies(running.pid) == 0).then_some(())
            });
            assert_eq!(running.stderr().contains("reaped orphan"), options[0] == "-w", "{}", running.stderr());
        }
    }
}

fn a_signal_about_rinits_own_processor_time_does_not_reach_the_command() {
    // The timer counts rinit's time from the start on: setitimer(2).
    let mut command = program(probe());
    command.args(["with-timer", "PROF"]).arg(rinit()).args([&probe(), "hold"]);
    let mut running = Running::spawn(Role::Subreaper, &mut command);
    running.main_child();
    let ticks = |pid: pid_t| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    // The timer is set to 5 ticks.
    wait_until("rinit to have used its time", || {
        (0..1000).for_each(|_| kill(running.pid, libc::SIGWINCH));
        (ticks(running.pid) >= 10).then_some(())
    });
    assert!(running.is_running());
    running.kill(libc::SIGTERM);
    assert_eq!(running.exit_code(), 143);
}

fn a_grace_period_awaits_a_child_that_was_there_before_rinit() {
    for role in BOTH_ROLES {
        for signal in [libc::SIGUSR1, 0] {
            let temp = TempDir::new();
            let file = temp.file("child");
            let mut command = program(probe());
            command.args(["with-child", &signal.to_string(), &file]).arg(rinit());
            command.args(["--grace", "1h", "sh", "-c", &format!("until [ -s {file} ]; do :; done; exit 3")]);
            let mut running = Running::spawn(role, &mut command);
            wait_until_ready(&file);
            let child = pid_of(&file);
            wait_until("the main child to end", || (children(running.pid) == [child]).then_some(()));
            assert!(running.is_running());
            kill(child, libc::SIGUSR2);
            assert_eq!(running.exit_code(), 3, "{role:?} {signal}");
        }
    }
}

/// rinit with these words, started with one of the standard descriptors closed and with room for no other. The shell
/// does both, and becomes rinit.
fn with_three_descriptors(words: &str, redirections: &str) -> Command {
    let mut command = program("/bin/bash");
    command.args(["-c", &format!("exec {redirections}; ulimit -n 3; exec {} {words}", rinit().to_str().unwrap())]);
    command
}

fn with_room_for_three_descriptors_messages_go_to_stderr_and_nowhere_else() {
    // rinit opens the terminal, and the lowest number that is free is one of the standard ones.
    for closed in ["0<&-", "1>&-", "2>&-"] {
        let temp = TempDir::new();
        let stderr = temp.file("stderr");
        let redirections = format!("2>{stderr} {closed}");
        let mut session =
            Session::start(Role::Subreaper, with_three_descriptors("-vv -w sh -c 'exit 3'", &redirections));
        assert_eq!(session.leader.exit_code(), 3, "{closed}");
        let on_terminal = session.rest().to_owned();
        assert!(!on_terminal.contains("rinit["), "{closed}: {on_terminal}");
        let text = fs::read_to_string(&stderr).unwrap();
        let is_open = !closed.starts_with('2');
        assert_eq!(text.contains("running 'sh'"), is_open, "{closed}: {text}");
        assert_eq!(text.contains("exiting with 3"), is_open, "{closed}: {text}");
    }
}

fn with_room_for_three_descriptors_the_command_has_the_terminal() {
    for closed in ["1>&-", "2>&-"] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let words = format!("{} record {file} 2 4", probe());
        let mut session = Session::start(Role::Pid1, with_three_descriptors(&words, closed));
        wait_until_ready(&file);
        session.press(crate::harness::pty::CTRL_C);
        assert_eq!(session.leader.exit_code(), 4, "{closed}");
        assert_eq!(recorded_signals(&file), ["2 plain"]);
    }
}

/// What the documentation says of what a fork does not hand on.
fn documentation() -> String {
    let pages = fs::read_dir(repository_file("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let others = ["README.md", "SECURITY.md"].map(|name| repository_file(name).into());
    pages.chain(others).map(|path: std::path::PathBuf| fs::read_to_string(path).unwrap()).collect()
}

fn a_record_lock_does_not_get_to_the_command_and_the_documentation_says_so() {
    let temp = TempDir::new();
    let file = temp.write("locked", b"", 0o644);
    let is_locked = || {
        let file = File::options().read(true).write(true).open(&file).unwrap();
        // SAFETY: an all-zero structure is a valid one; an open descriptor.
        unsafe {
            let mut lock: libc::flock = std::mem::zeroed();
            lock.l_type = libc::F_WRLCK as _;
            assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock), 0);
            lock.l_type != libc::F_UNLCK as i16
        }
    };
    for (between, expected) in [(None, true), (Some(rinit()), false)] {
        let log = temp.file(if expected { "bare" } else { "below" });
        let mut command = program(probe());
        command.args(["with-lock", &file]).args(between).args([&probe(), "record", &log]);
        let running = Running::spawn(Role::Subreaper, &mut command);
        wait_until_ready(&log);
        wait_until("rinit to close what is the command's", || (is_locked() == expected).then_some(()));
        drop(running);
    }
    assert!(documentation().contains("record lock"), "it is not documented");
}

fn a_timer_does_what_the_documentation_says() {
    // alarm(2) stays rinit's, which forwards the signal. The other two count the time of rinit, which waits.
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut command = program(probe());
    command.args(["with-timer", "ALARM"]).arg(rinit()).args([&probe(), "record", &file]);
    let running = Running::spawn(Role::Subreaper, &mut command);
    wait_until_ready(&file);
    wait_until_recorded(&file, &["14 plain"]);
    drop(running);
    for (kind, signal) in [("VIRTUAL", libc::SIGVTALRM), ("PROF", libc::SIGPROF)] {
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 3";
        let run = |between: &[std::ffi::OsString]| {
            let mut command = program(probe());
            command.args(["with-timer", kind]).args(between).args(["/bin/sh", "-c", spin]);
            use std::os::unix::process::ExitStatusExt;
            let status = Running::spawn(Role::Subreaper, &mut command).status();
            status.code().or(status.signal().map(|signal| 128 + signal)).unwrap()
        };
        assert_eq!(run(&[]), 128 + signal, "{kind}: the program runs longer than the timer");
        assert_eq!(run(&[rinit()]), 3, "{kind}");
    }
    let text = documentation();
    for word in ["ITIMER_VIRTUAL", "ITIMER_PROF", "alarm(2)"] {
        assert!(text.contains(word), "{word} is not documented");
    }
}
