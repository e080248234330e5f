//! Every orphan is reaped, as PID 1 and as subreaper, however many there are and however they come.

use std::fs;

use crate::harness::{
    BOTH_ROLES, Running, TempDir, children, command, count_zombies, kill, probe, state, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces];
    thousands_of_orphans_leave_no_zombie,
    one_sigchld_that_stands_for_many_loses_nobody,
    an_orphan_that_lives_on_is_reaped_when_it_ends,
    the_main_childs_end_ends_it_in_the_middle_of_a_storm,
    an_idle_rinit_waits_in_one_call_without_end,
}

fn thousands_of_orphans_leave_no_zombie() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{0} orphans 3000; exec {0} record {file} 15 7", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["-v", "sh", "-c", &script]));
        wait_until_ready(&file);
        let main_child = running.main_child();
        wait_until("the last orphan to be reaped", || (children(running.pid) == [main_child]).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7);
        // Each subshell of the duty leaves one, and nobody else has reaped any of them.
        assert!(running.stderr().contains("after 3000 orphans"), "{role:?}: {}", running.stderr());
    }
}

fn one_sigchld_that_stands_for_many_loses_nobody() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, held, done) = (temp.file("log"), temp.file("held"), temp.file("done"));
        let orphans = format!("while ! [ -e {held} ]; do :; done; {} orphans 200; : > {done}", probe());
        let script = format!("({orphans}) & exec {} record {file}", probe());
        let running = Running::start(role, &["sh", "-c", &script], |command| command);
        // Held, rinit finds one pending SIGCHLD for all that end meanwhile: signal(7), standard signals do not queue.
        running.main_child();
        running.kill(libc::SIGSTOP);
        wait_until("rinit to be held", || (state(running.pid) == Some('T')).then_some(()));
        fs::write(&held, "").unwrap();
        wait_until_ready(&file);
        wait_until("the orphans to be made", || fs::exists(&done).unwrap().then_some(()));
        wait_until("all to be zombies", || (count_zombies(running.pid) >= 200).then_some(()));
        running.kill(libc::SIGCONT);
        wait_until("all to be reaped", || (children(running.pid).len() == 1).then_some(()));
    }
}

fn an_orphan_that_lives_on_is_reaped_when_it_ends() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (main, daemon) = (temp.file("main"), temp.file("daemon"));
        let script = format!("{0} record-detached {daemon}; exec {0} record {main}", probe());
        let running = Running::start(role, &["sh", "-c", &script], |command| command);
        wait_until_ready(&main);
        wait_until_ready(&daemon);
        let orphan = crate::harness::pid_of(&daemon);
        assert!(children(running.pid).contains(&orphan), "{role:?}: adopted");
        kill(orphan, libc::SIGKILL);
        wait_until("the orphan to be reaped", || (!children(running.pid).contains(&orphan)).then_some(()));
    }
}

fn the_main_childs_end_ends_it_in_the_middle_of_a_storm() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let storm = temp.file("storm");
        let script = format!("{} storm {storm} & while ! [ -s {storm} ]; do :; done; exit 9", probe());
        let mut running = Running::start(role, &["sh", "-c", &script], |command| command);
        assert_eq!(running.exit_code(), 9, "{role:?}");
    }
}

fn an_idle_rinit_waits_in_one_call_without_end() {
    for role in BOTH_ROLES {
        for options in [&["--grace", "10s"][..], &["-w", "-vvv"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let words: Vec<_> = options.iter().copied().chain([probe().leak() as &str, "record", &file]).collect();
            let running = Running::spawn_captured(role, &mut command(&words));
            wait_until_ready(&file);
            // proc_pid_syscall(5): the number and the arguments, the third of which is the timeout: none.
            wait_until("the wait", || {
                let call = fs::read_to_string(format!("/proc/{}/syscall", running.pid)).ok()?;
                let mut parts = call.split_ascii_whitespace();
                (parts.next()? == libc::SYS_rt_sigtimedwait.to_string() && parts.nth(2)? == "0x0").then_some(())
            });
        }
    }
}
