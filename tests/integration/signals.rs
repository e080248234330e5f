//! Every signal that can be caught is forwarded, to whom it should be, and none is lost.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, forwarded_signals, kill, pid_of, probe, program, queue,
    rinit, status_line, wait_until, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    each_of_the_59_signals_reaches_the_command,
    the_kernels_word_about_children_is_not_forwarded,
    queued_signals_arrive_as_often_in_order_and_with_their_values,
    a_value_reaches_the_whole_group,
    the_whole_group_is_reached_or_with_single_child_only_the_main_child,
    a_command_that_left_its_group_is_still_reached,
    all_reaches_who_left_for_a_session_of_its_own,
    all_reaches_no_bystander,
    signals_are_rewritten_and_dropped,
    a_signal_of_the_first_instants_is_never_lost,
    the_first_instruction_blocks_every_signal requires [Program("strace")],
    a_stop_of_rinits_group_while_the_command_starts_does_not_hold_rinit_up requires [Program("strace")],
    forwarding_stays_prompt_in_a_storm_of_orphans,
    the_parents_death_is_forwarded,
}

/// rinit with a command that records its signals to a file.
fn recording(role: Role, options: &[&str], duty: &str, file: &str) -> Running {
    let probe = probe();
    let words: Vec<&str> = options.iter().copied().chain([probe.as_str(), duty, file]).collect();
    let running = Running::start(role, &words, |command| command);
    wait_until_ready(file);
    running
}

/// rinit with a main child that records, and another process of its group that does.
fn recording_twice(role: Role, options: &[&str], main: &str, other: &str) -> Running {
    let script = format!("{0} record {other} & exec {0} record {main}", probe());
    let words: Vec<&str> = options.iter().copied().chain(["sh", "-c", &script]).collect();
    let running = Running::start(role, &words, |command| command);
    wait_until_ready(other);
    wait_until_ready(main);
    running
}

fn each_of_the_59_signals_reaches_the_command() {
    assert_eq!(forwarded_signals().count(), 59);
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let running = recording(role, options, "record", &file);
            let mut expected = Vec::new();
            for number in forwarded_signals() {
                running.kill(number);
                expected.push(format!("{number} plain"));
                wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}

fn the_kernels_word_about_children_is_not_forwarded() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let running = recording(role, &[], "record", &file);
        running.kill(libc::SIGCHLD);
        running.kill(libc::SIGSYS);
        // A higher number than SIGCHLD's, so that it was taken later.
        wait_until_recorded(&file, &["31 plain"]);
    }
}

fn queued_signals_arrive_as_often_in_order_and_with_their_values() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"], &["-r", "40:41"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let running = recording(role, options, "record", &file);
            queue(running.pid, 40, 20);
            let number = if options.len() == 2 { 41 } else { 40 };
            let expected: Vec<String> = (0..20).map(|value| format!("{number} value {value}")).collect();
            wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

fn a_value_reaches_the_whole_group() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (main, other) = (temp.file("main"), temp.file("other"));
        let running = recording_twice(role, &[], &main, &other);
        queue(running.pid, 40, 2);
        wait_until_recorded(&main, &["40 value 0", "40 value 1"]);
        wait_until_recorded(&other, &["40 value 0", "40 value 1"]);
    }
}

fn the_whole_group_is_reached_or_with_single_child_only_the_main_child() {
    for role in BOTH_ROLES {
        for (options, both) in [(&[][..], true), (&["-c"], false), (&["-s", "-g"], true)] {
            let temp = TempDir::new();
            let (main, other) = (temp.file("main"), temp.file("other"));
            let running = recording_twice(role, options, &main, &other);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&main, &["10 plain"]);
            if both {
                wait_until_recorded(&other, &["10 plain"]);
            } else {
                // The second one has arrived, so rinit is done with the first; and whoever is sent this last one gets
                // it after all that came before.
                kill(pid_of(&other), libc::SIGUSR2);
                wait_until_recorded(&other, &["12 plain"]);
            }
        }
    }
}

fn a_command_that_left_its_group_is_still_reached() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let running = recording(role, &[], "record-elsewhere", &file);
        running.kill(libc::SIGUSR1);
        wait_until_recorded(&file, &["10 plain"]);
    }
}

fn all_reaches_who_left_for_a_session_of_its_own() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (main, daemon) = (temp.file("main"), temp.file("daemon"));
        let script = format!("{0} record-detached {daemon}; exec {0} record {main}", probe());
        for (options, reached) in [(&["-a"][..], true), (&["--all", "-w"], true), (&[], false)] {
            for file in [&main, &daemon] {
                let _ = fs::remove_file(file);
            }
            let words: Vec<&str> = options.iter().copied().chain(["sh", "-c", &script]).collect();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            wait_until_ready(&daemon);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&main, &["10 plain"]);
            if reached {
                wait_until_recorded(&daemon, &["10 plain"]);
                queue(running.pid, 40, 2);
                for file in [&main, &daemon] {
                    wait_until_recorded(file, &["10 plain", "40 value 0", "40 value 1"]);
                }
            } else {
                kill(pid_of(&daemon), libc::SIGUSR2);
                wait_until_recorded(&daemon, &["12 plain"]);
            }
            assert!(running.is_running());
        }
    }
}

fn all_reaches_no_bystander() {
    let temp = TempDir::new();
    let (main, bystander) = (temp.file("main"), temp.file("bystander"));
    // The shell's other child: a process of the same user in the same session, and no descendant of rinit's.
    let script =
        format!("{0} record {bystander} & {1} --all {0} record {main} & wait", probe(), rinit().to_str().unwrap());
    let mut shell = program("/bin/sh");
    let _running = Running::spawn(Role::Subreaper, shell.args(["-c", &script]));
    wait_until_ready(&main);
    wait_until_ready(&bystander);
    let rinit = status_line(pid_of(&main), "PPid").unwrap().parse().unwrap();
    kill(rinit, libc::SIGUSR1);
    wait_until_recorded(&main, &["10 plain"]);
    kill(pid_of(&bystander), libc::SIGUSR2);
    wait_until_recorded(&bystander, &["12 plain"]);
}

fn signals_are_rewritten_and_dropped() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let options = ["-r", "TERM:INT,HUP:0", "--rewrite", "rtmin+3:SIGUSR2", "-r", "2:none"];
        let running = recording(role, &options, "record", &file);
        for (number, so_far) in [
            (libc::SIGTERM, &["2 plain"][..]),
            (libc::SIGRTMIN() + 3, &["2 plain", "12 plain"]),
            (libc::SIGHUP, &["2 plain", "12 plain"]),
            (libc::SIGINT, &["2 plain", "12 plain"]),
            // Not pending together with the two above it, whose numbers are lower.
            (libc::SIGUSR1, &["2 plain", "12 plain", "10 plain"]),
        ] {
            running.kill(number);
            wait_until_recorded(&file, so_far);
        }
    }
}

fn a_signal_of_the_first_instants_is_never_lost() {
    for role in BOTH_ROLES {
        for _ in 0..200 {
            let mut command = command(&[&probe(), "hold"]);
            let mut running = Running::spawn(role, command.stderr(Stdio::null()));
            running.wait_until_signals_are_blocked();
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 143, "{role:?}");
        }
    }
}

fn the_first_instruction_blocks_every_signal() {
    // What the test above waits for is the mask; here is what comes before it: nothing.
    let trace = crate::harness::trace::traced(&["true"], &[]);
    let calls: Vec<&str> = trace.lines().filter(|line| !line.starts_with("+++")).collect();
    assert!(calls[0].contains("execve("), "{trace}");
    assert!(calls[1].contains("rt_sigprocmask(SIG_SETMASK, ~["), "{trace}");
}

fn a_stop_of_rinits_group_while_the_command_starts_does_not_hold_rinit_up() {
    for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let mut strace = program("strace");
        strace.args(["-DDD", "-f", "-o", "/dev/null", "-e", "trace=setpgid"]);
        strace.args(["-e", "inject=setpgid:delay_enter=500000"]).arg(rinit()).args(["sh", "-c", "exit 7"]);
        // SAFETY: a system call only. A session of its own has no terminal, which would send such signals, too.
        unsafe {
            strace.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            })
        };
        let mut running = Running::spawn(Role::Subreaper, &mut strace);
        // strace becomes rinit, and the child is in rinit's group until its call.
        wait_until("the child", || (children(running.pid).len() == 1).then_some(()));
        kill(-running.pid, signal);
        // rinit continues nobody that it does not know yet: the child must not have stopped.
        kill(running.pid, libc::SIGCONT);
        assert_eq!(running.exit_code(), 7, "signal {signal}");
    }
}

fn forwarding_stays_prompt_in_a_storm_of_orphans() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (storm, file) = (temp.file("storm"), temp.file("log"));
        let script = format!("{0} storm {storm} & exec {0} record {file}", probe());
        let running = Running::start(role, &["-c", "sh", "-c", &script], |command| command);
        wait_until_ready(&file);
        wait_until("the storm", || fs::exists(&storm).unwrap().then_some(()));
        let mut expected = Vec::new();
        for number in [libc::SIGUSR1, libc::SIGTERM, libc::SIGWINCH, 64] {
            running.kill(number);
            expected.push(format!("{number} plain"));
            wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

fn the_parents_death_is_forwarded() {
    for options in ["-p USR2", "--parent-death-signal=sigusr2", ""] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script =
            format!("'{}' {options} {} record {file} & read line < {file}.stop", rinit().to_str().unwrap(), probe());
        let stop = format!("{file}.stop");
        nix::unistd::mkfifo(stop.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut shell = program("/bin/sh");
        let mut running = Running::spawn(Role::Subreaper, shell.args(["-c", &script]));
        wait_until_ready(&file);
        let probe = pid_of(&file);
        fs::write(&stop, "\n").unwrap();
        assert_eq!(running.exit_code(), 0);
        if options.is_empty() {
            kill(probe, libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
        } else {
            wait_until_recorded(&file, &["12 plain"]);
        }
    }
}
