//! Every orphan is reaped, as PID 1 and as subreaper, however many there are and however they come.

mod common;

use std::fs;

use common::{BOTH, Folder, Running, children, command, kill, probe, state, until, until_ready, zombies};

#[test]
fn thousands_of_orphans_leave_no_zombie() {
    for place in BOTH {
        let folder = Folder::new();
        let file = folder.file("log");
        let script = format!("{0} orphans 3000; exec {0} record {file} 15 7", probe());
        let mut running = Running::captured(place, &mut command(&["-v", "sh", "-c", &script]));
        until_ready(&file);
        let main_child = running.main_child();
        until("the last orphan to be reaped", || (children(running.pid) == [main_child]).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7);
        // Each subshell of the duty leaves one, and nobody else has reaped any of them.
        assert!(running.stderr().contains("after 3000 orphans"), "{place:?}: {}", running.stderr());
    }
}

#[test]
fn one_sigchld_that_stands_for_many_loses_nobody() {
    for place in BOTH {
        let folder = Folder::new();
        let (file, held, done) = (folder.file("log"), folder.file("held"), folder.file("done"));
        let orphans = format!("while ! [ -e {held} ]; do :; done; {} orphans 200; : > {done}", probe());
        let script = format!("({orphans}) & exec {} record {file}", probe());
        let running = Running::start(place, &["sh", "-c", &script], |command| command);
        // Held, rinit finds one pending SIGCHLD for all that end meanwhile: signal(7), standard signals do not queue.
        running.main_child();
        running.kill(libc::SIGSTOP);
        until("rinit to be held", || (state(running.pid) == Some('T')).then_some(()));
        fs::write(&held, "").unwrap();
        until_ready(&file);
        until("the orphans to be made", || fs::exists(&done).unwrap().then_some(()));
        until("all to be zombies", || (zombies(running.pid) >= 200).then_some(()));
        running.kill(libc::SIGCONT);
        until("all to be reaped", || (children(running.pid).len() == 1).then_some(()));
    }
}

#[test]
fn an_orphan_that_lives_on_is_reaped_when_it_ends() {
    for place in BOTH {
        let folder = Folder::new();
        let (main, daemon) = (folder.file("main"), folder.file("daemon"));
        let script = format!("{0} record-detached {daemon}; exec {0} record {main}", probe());
        let running = Running::start(place, &["sh", "-c", &script], |command| command);
        until_ready(&main);
        until_ready(&daemon);
        let orphan = common::pid_of(&daemon);
        assert!(children(running.pid).contains(&orphan), "{place:?}: adopted");
        kill(orphan, libc::SIGKILL);
        until("the orphan to be reaped", || (!children(running.pid).contains(&orphan)).then_some(()));
    }
}

#[test]
fn the_main_childs_end_ends_it_in_the_middle_of_a_storm() {
    for place in BOTH {
        let folder = Folder::new();
        let storm = folder.file("storm");
        let script = format!("{} storm {storm} & while ! [ -s {storm} ]; do :; done; exit 9", probe());
        let mut running = Running::start(place, &["sh", "-c", &script], |command| command);
        assert_eq!(running.exit_code(), 9, "{place:?}");
    }
}

#[test]
fn an_idle_rinit_waits_in_one_call_without_end() {
    for place in BOTH {
        for options in [&["--grace", "10s"][..], &["-w", "-vvv"]] {
            let folder = Folder::new();
            let file = folder.file("log");
            let words: Vec<_> = options.iter().copied().chain([probe().leak() as &str, "record", &file]).collect();
            let running = Running::captured(place, &mut command(&words));
            until_ready(&file);
            // proc_pid_syscall(5): the number and the arguments, the third of which is the timeout: none.
            until("the wait", || {
                let call = fs::read_to_string(format!("/proc/{}/syscall", running.pid)).ok()?;
                let mut parts = call.split_ascii_whitespace();
                (parts.next()? == libc::SYS_rt_sigtimedwait.to_string() && parts.nth(2)? == "0x0").then_some(())
            });
        }
    }
}
