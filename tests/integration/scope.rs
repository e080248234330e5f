//! Whom a signal is for: each process alive when it was taken, exactly once, and nobody else.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use libc::pid_t;

use crate::harness::engine::Engine;
use crate::harness::trace::HeldProcess;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, count_recorded, in_pid_namespace_of, is_waiting, kill,
    pid_of, probe, program, queue, queue_info, recorded_signals, rinit, status_line, wait_until, wait_until_ready,
    wait_until_recorded, words,
};

tests! {
    requires [Namespaces];
    a_process_whose_leader_thread_has_ended_is_signalled,
    a_main_child_whose_leader_thread_has_ended_is_signalled_and_mirrored,
    a_grace_period_asks_and_awaits_a_process_whose_leader_thread_has_ended,
    a_grace_period_awaits_a_leaderless_process_that_joined_from_outside,
    a_worker_that_a_handler_starts_is_not_hit_by_the_same_signal,
    a_program_that_forks_all_the_time_does_not_escape_the_grace_period,
    a_helper_that_somebody_starts_to_clean_up_is_left_alone,
    nobody_is_sent_sigterm_twice,
    somebody_born_after_a_forwarded_sigterm_is_asked,
    a_descendant_that_is_older_than_the_request_to_its_parent_is_asked_too,
    an_orphan_in_the_grace_period_costs_the_same_however_many_others_live requires [Program("strace")],
    memory_is_flat_however_many_orphans_come_in_the_grace_period,
    all_costs_each_descendant_the_same_however_many_there_are,
    a_signal_to_thousands_takes_a_bounded_number_of_calls requires [Program("strace")],
    a_value_survives_whatever_code_the_signal_has,
    what_the_kernel_sends_is_forwarded_without_its_code,
    what_the_kernel_sends_and_no_terminal_is_for_the_target_alone,
    a_signal_to_all_of_the_namespace_is_logged_as_one_to_every_process,
    a_signal_to_the_job_is_logged_as_one_to_its_group_or_to_who_has_left_it,
    without_a_proc_of_its_own_a_signal_reaches_whom_the_kernel_can_reach,
    a_main_child_that_proc_hides_gets_what_is_for_all requires [Root],
    docker_stop_leaves_a_worker_to_its_clean_up requires [Docker, Program("busybox")],
    a_process_that_entered_by_docker_exec_without_a_leader_gets_its_grace requires [Docker],
}

/// /proc hides the processes of other users: hidepid in proc(5). A set-user-ID program belongs to another user.
fn a_main_child_that_proc_hides_gets_what_is_for_all() {
    use std::os::unix::fs::PermissionsExt;
    for hidden in ["1", "2", "4"] {
        let temp = TempDir::new();
        let log = temp.write("log", b"", 0o666);
        let recorder = temp.copy(probe(), "recorder");
        fs::set_permissions(&recorder, fs::Permissions::from_mode(0o4755)).unwrap();
        let script = format!(
            "mount -t proc -o hidepid={hidden} proc /proc && \
             exec setpriv --reuid=54325 --regid=54325 --clear-groups {} -a -- {recorder} record {log} 15 3",
            temp.copy(rinit(), "rinit")
        );
        let mut unshare = program("unshare");
        let mut running = Running::spawn(Role::Subreaper, unshare.args(["--mount", "sh", "-c", &script]));
        wait_until_ready(&log);
        queue(running.pid, 40, 1);
        wait_until_recorded(&log, &["40 value 0"]);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 3, "hidepid={hidden}");
        wait_until_recorded(&log, &["40 value 0", "15 plain"]);
    }
}

/// Longer than any test waits.
const LONG: &str = "1h";

/// A signal whose number is higher than those that the tests look for: it is taken last, so its arrival shows that
/// all others have arrived.
const MARKER: i32 = libc::SIGPWR;

/// Sends rinit a signal that comes last, and waits until this recorder has it.
fn wait_until_marked(running: &Running, file: &str) {
    let before = count_recorded(file, "30 plain");
    running.kill(MARKER);
    wait_until("the marker to arrive", || (count_recorded(file, "30 plain") > before).then_some(()));
}

fn wait_until_waiting(running: &Running) {
    wait_until("rinit to wait", || is_waiting(running.pid).then_some(()));
}

/// Waits until the main child is no more.
fn wait_until_main_child_ended(running: &Running, main_child: pid_t) {
    wait_until("the main child to be reaped", || {
        (!children(running.pid).contains(&main_child) && is_waiting(running.pid)).then_some(())
    });
}

fn a_process_whose_leader_thread_has_ended_is_signalled() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-a"]] {
            let temp = TempDir::new();
            let (main, other) = (temp.file("main"), temp.file("other"));
            let script = format!("{0} leaderless record {other} & exec {0} record {main}", probe());
            let words = words(options, &["sh", "-c", &script]);
            let running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            wait_until_ready(&other);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&main, &["10 plain"]);
            wait_until_recorded(&other, &["10 plain"]);
            // A value is queued to one process after the other.
            queue(running.pid, 40, 2);
            for file in [&main, &other] {
                wait_until_recorded(file, &["10 plain", "40 value 0", "40 value 1"]);
            }
        }
    }
}

fn a_main_child_whose_leader_thread_has_ended_is_signalled_and_mirrored() {
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            let temp = TempDir::new();
            let main = temp.file("main");
            let words = words(options, &[&probe(), "leaderless", "record", &main, "15", "6"]);
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&main, &["10 plain"]);
            queue(running.pid, 40, 1);
            wait_until_recorded(&main, &["10 plain", "40 value 0"]);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 6, "{role:?} {options:?}");
        }
    }
}

fn a_grace_period_asks_and_awaits_a_process_whose_leader_thread_has_ended() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("data");
        let script = format!("{} leaderless flush {file} 100 & until [ -s {file} ]; do :; done; exit 3", probe());
        let mut running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        assert_eq!(running.exit_code(), 3);
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n", "{role:?}");
    }
}

fn a_grace_period_awaits_a_leaderless_process_that_joined_from_outside() {
    let temp = TempDir::new();
    let file = temp.file("data");
    let script = format!("until [ -s {file} ]; do :; done; exit 3");
    let mut running = Running::start(Role::Pid1, &["--grace", LONG, "sh", "-c", &script], |command| command);
    let mut flush =
        in_pid_namespace_of(running.pid).args([&probe(), "leaderless", "flush", &file, "200"]).spawn().unwrap();
    assert!(flush.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n");
    assert_eq!(running.exit_code(), 3);
}

fn a_worker_that_a_handler_starts_is_not_hit_by_the_same_signal() {
    const ROUNDS: usize = 200;
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut running = Running::start(role, &["-a", &probe(), "respawn", &file], |command| command);
        wait_until_ready(&file);
        for round in 1..=ROUNDS {
            running.kill(libc::SIGHUP);
            running.kill(libc::SIGUSR1);
            wait_until("the round to end", || (recorded_signals(&file).len() == round).then_some(()));
        }
        assert_eq!((count_recorded(&file, "hit"), count_recorded(&file, "kept")), (0, ROUNDS), "{role:?}");
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
    }
}

fn a_program_that_forks_all_the_time_does_not_escape_the_grace_period() {
    for role in BOTH_ROLES {
        for duty in ["fork-all-the-time", "fork-chain"] {
            let temp = TempDir::new();
            let file = temp.file("ready");
            let script = format!("{} {duty} {file} & until [ -s {file} ]; do :; done; exit 3", probe());
            let mut running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
            assert_eq!(running.exit_code(), 3, "{role:?} {duty}");
        }
    }
}

fn a_helper_that_somebody_starts_to_clean_up_is_left_alone() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let [first, second, helper, cleaned] = ["first", "second", "helper", "cleaned"].map(|name| temp.file(name));
        let clean_up = format!("{} record {helper} 12 0; : > {cleaned}; exit 0", probe());
        let script = format!(
            "{0} record {first} 12 0 & \
             sh -c 'trap \"{clean_up}\" TERM; : > {second}; while :; do {0} wait 20; done' & \
             until [ -s {first} ] && [ -e {second} ]; do :; done; exit 3",
            probe()
        );
        let mut running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        // Both have been asked, and the second one runs its helper.
        wait_until("the first to be asked", || (count_recorded(&first, "15 plain") == 1).then_some(()));
        wait_until_ready(&helper);
        let first_pid = pid_of(&first);
        kill(first_pid, libc::SIGUSR2);
        wait_until_main_child_ended(&running, first_pid);
        kill(pid_of(&helper), MARKER);
        wait_until_recorded(&helper, &["30 plain"]);
        kill(pid_of(&helper), libc::SIGUSR2);
        assert_eq!(running.exit_code(), 3);
        assert!(fs::exists(&cleaned).unwrap(), "{role:?}");
    }
}

fn nobody_is_sent_sigterm_twice() {
    // Who was sent SIGTERM by forwarding is not asked again when the main child has ended of it.
    for role in BOTH_ROLES {
        for (options, sent) in [
            (&[][..], libc::SIGTERM),
            (&["-c"], libc::SIGTERM),
            (&["-a"], libc::SIGTERM),
            (&["-r", "HUP:TERM"], libc::SIGHUP),
        ] {
            let temp = TempDir::new();
            let [main, worker, daemon] = ["main", "worker", "daemon"].map(|name| temp.file(name));
            let script = format!(
                "{0} record-detached {daemon}; {0} record {worker} 12 0 & exec {0} record {main} 15 5",
                probe()
            );
            let words = words(options, &["--grace", LONG, "sh", "-c", &script]);
            let mut running = Running::start(role, &words, |command| command);
            for file in [&main, &worker, &daemon] {
                wait_until_ready(file);
            }
            let main_child = running.main_child();
            running.kill(sent);
            wait_until_main_child_ended(&running, main_child);
            for file in [&worker, &daemon] {
                wait_until_marked(&running, file);
                assert_eq!(
                    count_recorded(file, "15 plain"),
                    1,
                    "{role:?} {options:?} {file}: {:?}",
                    recorded_signals(file)
                );
            }
            kill(pid_of(&daemon), libc::SIGKILL);
            kill(pid_of(&worker), libc::SIGUSR2);
            assert_eq!(running.exit_code(), 5);
        }
    }
}

fn somebody_born_after_a_forwarded_sigterm_is_asked() {
    // Not a helper of a process that still lives: its parent has ended.
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let late = temp.file("late");
        let script = format!(
            "trap '{0} record-detached {late}; until [ -s {late} ]; do :; done; exit 3' TERM; : > {1}; while :; do {0} wait 20; done",
            probe(),
            temp.file("ready")
        );
        let mut running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        wait_until("the shell", || fs::exists(temp.file("ready")).unwrap().then_some(()));
        running.kill(libc::SIGTERM);
        wait_until("the late one to be asked", || (count_recorded(&late, "15 plain") == 1).then_some(()));
        assert!(running.is_running());
        kill(pid_of(&late), libc::SIGKILL);
        assert_eq!(running.exit_code(), 3, "{role:?}");
    }
}

fn a_descendant_that_is_older_than_the_request_to_its_parent_is_asked_too() {
    // Its parent has been asked and lives on. It was there before that, so it is no helper of a clean-up.
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"]] {
            for is_forwarded in [false, true] {
                let temp = TempDir::new();
                let [main, old] = ["main", "old"].map(|name| temp.file(name));
                // setsid(1) does not fork here, so the parent stays its parent.
                let script = format!(
                    "sh -c 'trap : TERM; setsid {0} record {old} & while :; do {0} wait 20; done' & \
                     exec {0} record {main} {1} 3",
                    probe(),
                    if is_forwarded { libc::SIGTERM } else { libc::SIGUSR2 }
                );
                let words = words(options, &["--grace", LONG, "sh", "-c", &script]);
                let mut running = Running::start(role, &words, |command| command);
                let main_child = running.main_child();
                for file in [&main, &old] {
                    wait_until_ready(file);
                }
                if is_forwarded {
                    running.kill(libc::SIGTERM);
                } else {
                    kill(pid_of(&main), libc::SIGUSR2);
                }
                wait_until_main_child_ended(&running, main_child);
                wait_until(format!("it to be asked: {role:?} {options:?} {is_forwarded}"), || {
                    (count_recorded(&old, "15 plain") == 1).then_some(())
                });
                let [parent] = children(running.pid)[..] else { panic!("the parent has ended") };
                kill(pid_of(&old), libc::SIGKILL);
                kill(parent, libc::SIGKILL);
                assert_eq!(running.exit_code(), 3);
            }
        }
    }
}

fn an_orphan_in_the_grace_period_costs_the_same_however_many_others_live() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (idle, storm) = (temp.file("idle"), temp.file("storm"));
        // SIGTERM ends neither the storm nor the many that do nothing.
        let script = format!(
            "{0} idle 300 {idle} & {0} inherit block:15 {0} storm {storm} & \
             until [ -s {idle} ] && [ -s {storm} ]; do :; done; exit 3",
            probe()
        );
        let held = HeldProcess::new(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        let traced = held.traced(&[]);
        let orphans = || fs::read_to_string(&storm).ok().and_then(|text| text.parse::<usize>().ok());
        wait_until("all to be asked", || {
            (orphans().is_some() && traced.calls().iter().any(|call| call == "kill")).then_some(())
        });
        // Not what it takes to ask them, but what follows.
        let before = wait_until("rinit to wait again", || {
            let calls = traced.calls();
            let asked = calls.iter().position(|call| call == "kill")?;
            let waits = calls.iter().skip(asked).filter(|call| *call == "rt_sigtimedwait").count();
            (waits > 2).then_some(calls.len())
        });
        let goal = wait_until("the storm", orphans) + 300;
        wait_until("more orphans", || (orphans()? >= goal).then_some(()));
        let calls = traced.calls().split_off(before);
        let waits = calls.iter().filter(|call| *call == "rt_sigtimedwait").count();
        assert!(waits > 10 && calls.len() < waits * 60, "{role:?}: {} calls, {waits} of them waits", calls.len());
    }
}

/// The memory that is rinit's own, in KiB.
fn own_memory(pid: pid_t) -> u64 {
    let kib = |name| {
        let line = status_line(pid, name).unwrap();
        line.trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    // What it has in memory that no file has, and what it has asked for.
    kib("RssAnon") + kib("VmData")
}

fn memory_is_flat_however_many_orphans_come_in_the_grace_period() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let storm = temp.file("storm");
        let script =
            format!("{0} inherit block:15 {0} storm {storm} & until [ -s {storm} ]; do :; done; exit 3", probe());
        let running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        let orphans = || fs::read_to_string(&storm).ok().and_then(|text| text.parse::<u32>().ok());
        let wait_for_more = |more: u32| {
            let goal = wait_until("the storm", orphans) + more;
            wait_until("more orphans", || (orphans()? >= goal).then_some(()));
        };
        wait_until("the shell to end", || (children(running.pid).len() == 1).then_some(()));
        wait_for_more(500);
        let before = own_memory(running.pid);
        wait_for_more(4_000);
        let after = own_memory(running.pid);
        assert!(after <= before + 8, "{role:?}: {before} KiB have become {after}");
    }
}

fn all_costs_each_descendant_the_same_however_many_there_are() {
    // Nanoseconds on a processor: proc(5), /proc/PID/schedstat.
    let time = |pid: pid_t| {
        let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    const SIGNALS: usize = 5;
    let measure = |many: usize| {
        let temp = TempDir::new();
        let (main, idle) = (temp.file("main"), temp.file("idle"));
        let script = format!("{0} idle {many} {idle} & exec {0} record {main}", probe());
        let running = Running::start(Role::Subreaper, &["-a", "sh", "-c", &script], |command| command);
        wait_until_ready(&main);
        wait_until_ready(&idle);
        wait_until_waiting(&running);
        let (before, memory) = (time(running.pid), own_memory(running.pid));
        for round in 1..=SIGNALS {
            running.kill(libc::SIGUSR1);
            wait_until("the signal", || (recorded_signals(&main).len() == round).then_some(()));
            wait_until_waiting(&running);
        }
        let peak: u64 = status_line(running.pid, "VmHWM").unwrap().trim_end_matches(" kB").parse().unwrap();
        (time(running.pid) - before, own_memory(running.pid).saturating_sub(memory), peak)
    };
    let ((few, few_memory, few_peak), (many, many_memory, many_peak)) = (measure(500), measure(4_000));
    // Eight times as many: eight times the work, and not sixty-four.
    assert!(many < few * 24, "{many} ns for 4,000 descendants, {few} for 500");
    assert!(many_memory <= few_memory + 16, "{few_memory} KiB more for 500 descendants, {many_memory} for 4,000");
    assert!(many_peak <= few_peak + 64, "{few_peak} KiB at most for 500 descendants, {many_peak} for 4,000");
}

fn a_signal_to_thousands_takes_a_bounded_number_of_calls() {
    const MANY: usize = 1_000;
    let temp = TempDir::new();
    let (main, idle) = (temp.file("main"), temp.file("idle"));
    let script = format!("{0} idle {MANY} {idle} & exec {0} record {main}", probe());
    let held = HeldProcess::new(Role::Subreaper, &["-a", "sh", "-c", &script], |command| command);
    let traced = held.traced(&[]);
    wait_until_ready(&main);
    wait_until_ready(&idle);
    let before = traced.calls().len();
    kill(traced.pid, libc::SIGUSR1);
    wait_until_recorded(&main, &["10 plain"]);
    // The next one is taken when all is done for the first one.
    kill(traced.pid, libc::SIGHUP);
    wait_until_recorded(&main, &["10 plain", "1 plain"]);
    wait_until("rinit to wait", || is_waiting(traced.pid).then_some(()));
    let calls = traced.calls();
    let made = (calls.len() - before) / 2;
    let sent = calls[before..].iter().filter(|call| *call == "kill").count() / 2;
    // The shell has become the recorder; the parent of the idle ones is one more.
    assert_eq!(sent, MANY + 2, "each is sent it once");
    assert!(made <= 6 * MANY, "{made} calls for {MANY} descendants");
}

/// Codes that a process may give a signal it sends: all below 0 but that of tkill(2), rt_sigqueueinfo(2). The last one
/// is nobody's.
const CODES: [i32; 6] = [libc::SI_QUEUE, libc::SI_TIMER, libc::SI_MESGQ, libc::SI_ASYNCIO, libc::SI_SIGIO, -100];

fn a_value_survives_whatever_code_the_signal_has() {
    for role in BOTH_ROLES {
        for (options, number) in [(&[][..], 40), (&["-c"], 40), (&["-a"], 40), (&["-r", "40:41"], 41)] {
            let temp = TempDir::new();
            let (file, other) = (temp.file("log"), temp.file("other"));
            let script = format!("{0} record {other} & exec {0} record {file}", probe());
            let words = words(options, &["-vv", "sh", "-c", &script]);
            let mut command = command(&words);
            let running = Running::spawn_captured(role, &mut command);
            wait_until_ready(&file);
            wait_until_ready(&other);
            let mut expected = Vec::new();
            for (value, code) in CODES.into_iter().enumerate() {
                queue_info(running.pid, 40, code, value);
                expected.push(match code {
                    libc::SI_QUEUE => format!("{number} value {value}"),
                    code => format!("{number} code {code} value {value}"),
                });
                wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
            if options != ["-c"] {
                wait_until_recorded(&other, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
            wait_until("the log", || (running.stderr().matches("SIGRTMIN+6 ").count() >= CODES.len()).then_some(()));
            assert!(!running.stderr().contains("the kernel"), "{}", running.stderr());
        }
    }
}

/// Has the kernel send this signal, since a pipe can be read: F_SETOWN, F_SETSIG in fcntl(2). When the pipe is closed,
/// the kernel sends it once more.
#[must_use]
fn send_from_kernel(pid: pid_t, signal: i32) -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    // SAFETY: an open descriptor and numbers.
    unsafe {
        assert_eq!(libc::fcntl(reader.as_raw_fd(), libc::F_SETOWN, pid), 0);
        assert_eq!(libc::fcntl(reader.as_raw_fd(), 10 /* F_SETSIG */, signal), 0);
        assert_eq!(libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_ASYNC), 0);
    }
    nix::unistd::write(&writer, b".").unwrap();
    (reader, writer)
}

fn what_the_kernel_sends_is_forwarded_without_its_code() {
    // It has a code that only the kernel may give.
    for role in BOTH_ROLES {
        for options in [&[][..], &["-c"], &["-a"]] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let words = words(options, &[&probe(), "record", &file]);
            let running = Running::start(role, &words, |command| command);
            wait_until_ready(&file);
            let _pipe = send_from_kernel(running.pid, 40);
            wait_until_recorded(&file, &["40 plain"]);
        }
    }
}

fn what_the_kernel_sends_and_no_terminal_is_for_the_target_alone() {
    for role in BOTH_ROLES {
        for (options, is_for_worker) in [(&["-c"][..], false), (&[], true), (&["-a"], true)] {
            for signal in [libc::SIGALRM, 40] {
                let temp = TempDir::new();
                let [main, worker] = ["main", "worker"].map(|name| temp.file(name));
                let script = format!("{0} record {worker} & exec {0} record {main}", probe());
                let words = words(options, &["sh", "-c", &script]);
                let running = Running::start(role, &words, |command| command);
                for file in [&main, &worker] {
                    wait_until_ready(file);
                }
                let _pipe = send_from_kernel(running.pid, signal);
                wait_until_recorded(&main, &[&format!("{signal} plain")]);
                // rinit has sent it to all that it is for, when it waits again.
                wait_until_waiting(&running);
                kill(pid_of(&worker), MARKER);
                wait_until("the marker", || recorded_signals(&worker).contains(&"30 plain".to_owned()).then_some(()));
                let got = recorded_signals(&worker).contains(&format!("{signal} plain"));
                assert_eq!(got, is_for_worker, "{role:?} {options:?} {signal}");
            }
        }
    }
}

fn a_signal_to_all_of_the_namespace_is_logged_as_one_to_every_process() {
    for options in [&["-a"][..], &["--grace", LONG]] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = match options.len() {
            1 => format!("exec {} record {file} 12 0", probe()),
            _ => format!("{} record {file} 12 0 & until [ -s {file} ]; do :; done", probe()),
        };
        let words = words(options, &["-vv", "sh", "-c", &script]);
        let mut running = Running::spawn_captured(Role::Pid1, &mut command(&words));
        wait_until_ready(&file);
        if options.len() == 2 {
            wait_until("the grace period", || (count_recorded(&file, "15 plain") == 1).then_some(()));
        }
        running.kill(libc::SIGUSR1);
        wait_until("the signal", || (count_recorded(&file, "10 plain") == 1).then_some(()));
        kill(pid_of(&file), libc::SIGUSR2);
        assert_eq!(running.exit_code(), 0);
        let text = running.stderr();
        assert!(text.contains("SIGUSR1 to every process"), "{text}");
        assert!(!text.contains("process group 1\n"), "{text}");
    }
}

fn a_signal_to_the_job_is_logged_as_one_to_its_group_or_to_who_has_left_it() {
    for role in BOTH_ROLES {
        for (duty, target) in [("record", "process group"), ("record-elsewhere", "process")] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let mut running = Running::spawn_captured(role, &mut command(&["-vv", &probe(), duty, &file]));
            wait_until_ready(&file);
            let pid =
                status_line(pid_of(&file), "NSpid").unwrap().split_ascii_whitespace().next_back().unwrap().to_owned();
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
            let sent = || running.stderr().lines().find(|line| line.contains("sent SIGUSR1 to")).map(str::to_owned);
            let line = wait_until("the line", sent);
            assert!(line.ends_with(&format!("sent SIGUSR1 to {target} {pid}")), "{role:?} {duty}: {line}");
            running.end();
            let count = running.stderr().lines().filter(|line| line.contains("SIGUSR1 to ")).count();
            assert_eq!(count, 1, "{role:?} {duty}: {}", running.stderr());
        }
    }
}

fn without_a_proc_of_its_own_a_signal_reaches_whom_the_kernel_can_reach() {
    // A namespace made without its own /proc. Values can be queued to single processes only, which rinit cannot find.
    for (role, options, sent, got, warning) in [
        (Role::Pid1, "-a", libc::SIGUSR1, "10 plain", None),
        (Role::Pid1, "-a", 40, "40 plain", Some("loses its value")),
        (Role::Pid1, "", 40, "40 value 0", Some("went to the main child alone")),
        (Role::Subreaper, "-a", libc::SIGUSR1, "10 plain", Some("cannot find the descendants to send SIGUSR1 to")),
        (Role::Subreaper, "-a", 40, "40 plain", Some("cannot find the descendants")),
        (Role::Subreaper, "", 40, "40 value 0", Some("went to the main child alone")),
    ] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{} {options} {} record {file}", rinit().to_str().unwrap(), probe());
        let script = if role == Role::Pid1 { format!("exec {script}") } else { format!("{script}; exit $?") };
        let mut unshare = program("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", &script]);
        let running = Running::spawn_captured(Role::Subreaper, &mut unshare);
        wait_until_ready(&file);
        let first = children(running.pid)[0];
        let rinit = if role == Role::Pid1 { first } else { children(first)[0] };
        match sent {
            40 => queue(rinit, 40, 1),
            plain => kill(rinit, plain),
        }
        wait_until_recorded(&file, &[got]);
        wait_until("rinit to be done", || is_waiting(rinit).then_some(()));
        let stderr = running.stderr();
        assert_eq!(stderr.lines().count(), usize::from(warning.is_some()), "{role:?} {options} {sent}: {stderr}");
        assert!(stderr.contains(warning.unwrap_or_default()), "{role:?} {options} {sent}: {stderr}");
    }
}

fn docker_stop_leaves_a_worker_to_its_clean_up() {
    let docker = Engine::docker();
    let image = docker.image(&[
        (crate::harness::rinit().to_str().unwrap(), "rinit"),
        (&probe(), "probe"),
        ("/bin/busybox", "bin/busybox"),
    ]);
    // The worker got SIGTERM with its group. Its clean-up is broken off by a second one.
    let worker = "trap 'trap \"echo broken off; exit 1\" TERM; /probe wait 1500; echo clean; exit 0' TERM; \
                  echo ready; while :; do /probe wait 20; done";
    let script = "/bin/busybox sh -c \"$WORKER\" & exec /probe record /dev/stdout 15 5";
    let container = docker.start(&[
        "--env",
        &format!("WORKER={worker}"),
        &image.name,
        "/rinit",
        "--grace",
        LONG,
        "/bin/busybox",
        "sh",
        "-c",
        script,
    ]);
    container.wait_until_logged("ready\n");
    container.wait_until_logged("ready ");
    container.stop();
    assert_eq!(container.code(), 5);
    let logs = container.logs();
    assert!(logs.contains("clean") && !logs.contains("broken off"), "{logs}");
}

fn a_process_that_entered_by_docker_exec_without_a_leader_gets_its_grace() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    let container =
        docker.start(&[&image.name, "/rinit", "--grace", LONG, "/probe", "record", "/dev/stdout", "15", "5"]);
    container.wait_until_logged("ready");
    let mut exec = Command::new("docker")
        .args(["exec", &container.name, "/probe", "leaderless", "flush", "/flushed", "300"])
        .spawn()
        .unwrap();
    wait_until("it to have entered", || (container.exec(&["/probe", "exists", "/flushed"]).code == 0).then_some(()));
    container.stop();
    assert_eq!(container.code(), 5);
    assert!(exec.wait().unwrap().success(), "it was killed at once");
}
