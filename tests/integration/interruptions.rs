//! Whatever interrupts rinit's wait, and however often, leaves it hearing: a tracer that attaches, a freezer.

use std::process::{Child, Command};

use libc::pid_t;

use crate::harness::{
    BOTH_ROLES, Running, TempDir, children, command, count_recorded, is_waiting, kill, pid_of, probe, recorded_signals,
    status_line, wait_until, wait_until_ready, wait_until_recorded, words,
};

tests! {
    requires [Namespaces];
    signals_are_forwarded_after_many_interruptions_at_once,
    orphans_are_reaped_after_many_interruptions_at_once,
    a_pause_goes_on,
    a_grace_period_goes_on,
    a_deadline_comes_all_the_same,
    interruptions_without_end_neither_end_nor_deafen_it,
    a_pause_container_of_a_real_freezer_goes_on requires [Docker],
}

/// How often a tracer comes and goes, one time right after the other.
const TIMES: usize = 64;

/// Longer than any test waits.
const LONG: &str = "1h";

fn interrupt_many_times(pid: pid_t) {
    let times = TIMES.to_string();
    assert!(Command::new(probe()).args(["interrupt", &pid.to_string(), &times]).status().unwrap().success());
}

/// A tracer that comes and goes as long as rinit lives.
struct Tracer(Child);

impl Tracer {
    fn start(pid: pid_t) -> Self {
        Self(Command::new(probe()).args(["interrupt", &pid.to_string()]).spawn().unwrap())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often a process has given the processor up by itself: each wait is one time.
fn waits(pid: pid_t) -> u64 {
    status_line(pid, "voluntary_ctxt_switches").unwrap().parse().unwrap()
}

fn wait_until_waiting(pid: pid_t) {
    wait_until("rinit to wait", || is_waiting(pid).then_some(()));
}

fn signals_are_forwarded_after_many_interruptions_at_once() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"], &["--grace", LONG], &["--kill-after", LONG], &["--wait-all"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let words = words(options, &[&probe(), "record", &file, "15", "4"]);
            let mut running = Running::spawn_captured(role, &mut command(&words));
            wait_until_ready(&file);
            wait_until_waiting(running.pid);
            interrupt_many_times(running.pid);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
            interrupt_many_times(running.pid);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 4, "{role:?} {options:?}");
            assert_eq!(running.stderr(), "", "{role:?} {options:?}");
        }
    }
}

fn orphans_are_reaped_after_many_interruptions_at_once() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, daemon) = (temp.file("log"), temp.file("daemon"));
        let script = format!("{0} record-detached {daemon}; exec {0} record {file} 15 4", probe());
        let mut running = Running::start(role, &["sh", "-c", &script], |command| command);
        wait_until_ready(&file);
        wait_until_ready(&daemon);
        wait_until_waiting(running.pid);
        interrupt_many_times(running.pid);
        kill(pid_of(&daemon), libc::SIGKILL);
        wait_until("the orphan to be reaped", || (children(running.pid).len() == 1).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 4, "{role:?}");
    }
}

fn a_pause_goes_on() {
    for role in BOTH_ROLES {
        let mut running = Running::spawn_captured(role, &mut command(&["--pause"]));
        wait_until_waiting(running.pid);
        interrupt_many_times(running.pid);
        wait_until_waiting(running.pid);
        assert!(running.is_running());
        running.kill(libc::SIGTERM);
        assert_eq!((running.exit_code(), running.stderr().as_str()), (0, ""), "{role:?}");
    }
}

fn a_grace_period_goes_on() {
    for role in BOTH_ROLES {
        for options in [&["--grace", LONG][..], &["--wait-all"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = format!("{0} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
            let words = [options, &["sh", "-c", &script]].concat();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&file);
            let straggler = pid_of(&file);
            wait_until("the main child to end", || (children(running.pid) == [straggler]).then_some(()));
            wait_until_waiting(running.pid);
            interrupt_many_times(running.pid);
            running.kill(libc::SIGUSR1);
            wait_until("the signal", || (count_recorded(&file, "10 plain") == 1).then_some(()));
            assert!(running.is_running());
            kill(straggler, libc::SIGKILL);
            assert_eq!(running.exit_code(), 3, "{role:?} {options:?}");
        }
    }
}

fn a_deadline_comes_all_the_same() {
    for role in BOTH_ROLES {
        for (options, code) in [(&["--grace", "0.3"][..], 3), (&["--kill-after", "0.3"], 137)] {
            let temp = TempDir::new();
            let (file, main) = (temp.file("log"), temp.file("main"));
            let script =
                format!("{0} record {file} & until [ -s {file} ]; do :; done; exec {0} record {main} 10 3", probe());
            let words = [options, &["sh", "-c", &script]].concat();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            running.kill(if code == 3 { libc::SIGUSR1 } else { libc::SIGTERM });
            let _tracer = Tracer::start(running.pid);
            assert_eq!(running.exit_code(), code, "{role:?} {options:?}");
        }
    }
}

fn interruptions_without_end_neither_end_nor_deafen_it() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-a"], &["-c"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let words = words(options, &[&probe(), "record", &file, "15", "4"]);
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&file);
            wait_until_waiting(running.pid);
            let tracer = Tracer::start(running.pid);
            for round in 1..=20 {
                let before = waits(running.pid);
                wait_until("interruptions", || (waits(running.pid) >= before + 20).then_some(()));
                running.kill(libc::SIGUSR1);
                wait_until("the signal", || (recorded_signals(&file).len() == round).then_some(()));
            }
            drop(tracer);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 4, "{role:?} {options:?}");
        }
    }
}

fn a_pause_container_of_a_real_freezer_goes_on() {
    // docker pause freezes it, which interrupts its wait: cgroups(7).
    let docker = crate::harness::engine::Engine::docker();
    let image = docker.rinit_image();
    let container = docker.start(&[&image.name, "--pause"]);
    wait_until_waiting(container.pid());
    for _ in 0..10 {
        docker.get(&["pause", &container.name]);
        docker.get(&["unpause", &container.name]);
    }
    container.stop();
    assert_eq!((container.code(), container.logs().as_str()), (0, ""));
}
