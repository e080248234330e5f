//! Nothing is allocated once the command has started, so no limit on memory can end rinit.
//!
//! These tests use a build that aborts if it allocates after that moment. It goes through every option and through the
//! fault search, whose scenarios reach every message and every fall-back.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use crate::faults::{self, Scenario};
use crate::harness::engine::repository_file;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, forwarded_signals, in_pid_namespace_of, is_waiting, kill, pid_of,
    probe, program, recorded_signals, rinit, run_to_end, use_build, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces, Program("cargo")];
    a_build_that_allocates_is_noticed,
    no_option_makes_it_allocate,
    no_number_of_descendants_makes_it_allocate,
    no_way_to_end_makes_it_allocate,
    a_pause_does_not_allocate,
    the_kernel_is_not_asked_for_memory requires [Program("strace")],
    no_fault_makes_pid_1_allocate requires [Program("strace")],
    no_fault_makes_a_subreaper_allocate requires [Program("strace")],
    no_fault_makes_a_subreaper_allocate_that_signals_every_descendant requires [Program("strace")],
    no_fault_makes_a_job_allocate requires [Program("strace")],
    no_fault_makes_pid_1_allocate_that_has_a_terminal requires [Program("strace")],
}

/// Has this test use the build that aborts. Cargo makes it where it is not there or is old.
fn use_guarded_build() {
    let target = repository_file("target/no-allocation");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--bin", "rinit", "--target-dir", &target]);
    // Joined with the flags of .cargo/config.toml, which RUSTFLAGS would replace.
    cargo.args(["--config", "target.\"cfg(all())\".rustflags=[\"--cfg\",\"rinit_alloc_guard\"]"]);
    cargo.current_dir(repository_file(".")).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(cargo.stdin(Stdio::null()).status().unwrap().success());
    use_build(format!("{target}/release/rinit").into());
}

fn a_build_that_allocates_is_noticed() {
    use_guarded_build();
    for role in BOTH_ROLES {
        for (trip, code) in [("", Some(7)), ("1", None)] {
            // It allocates one byte where the last allocation may have been.
            let mut command = program(rinit());
            command.args([&probe(), "exit", "7"]).env("TRIP_ALLOC_GUARD", trip);
            let status = Running::spawn_captured(role, &mut command).status();
            assert_eq!(status.code(), code, "{role:?}, TRIP_ALLOC_GUARD={trip}");
        }
    }
}

/// What each option of the definition is tried with: words, or a variable and its value.
const OPTIONS: [(&str, &[&[&str]]); 16] = [
    ("single-child", &[&["-c"], &["RINIT_SINGLE_CHILD=1"]]),
    ("all", &[&["-a"], &["-a", "-vvv"], &["RINIT_ALL=1"]]),
    ("rewrite", &[&["-r", "USR2:0,WINCH:HUP"], &["-r", "rtmax:hup", "-vvv"], &["RINIT_REWRITE=USR2:0"]]),
    ("remap-exit", &[&["-e", "1,2,255"], &["-e", "9", "-e", "143"], &["RINIT_REMAP_EXIT=1,2"]]),
    // It comes at once: the thread that starts rinit ends.
    ("parent-death-signal", &[&["-p", "URG"], &["RINIT_PARENT_DEATH_SIGNAL=URG"]]),
    ("grace", &[&["--grace", "1h"], &["--grace", "0.2", "-vvv"], &["RINIT_GRACE=0.2"]]),
    ("kill-after", &[&["--kill-after", "1h"], &["RINIT_KILL_AFTER=1h"]]),
    ("warn-on-reap", &[&["-w"], &["-w", "-vvv"], &["RINIT_WARN_ON_REAP=1"]]),
    (
        "verbose",
        &[
            &["-v"],
            &["-vv"],
            &["-vvv"],
            &["RINIT_LOG=off"],
            &["RINIT_LOG=trace"],
            &["RINIT_LOG=rinit=debug,warn"],
            &["RINIT_LOG=rinit::init=trace,rinit::logging=off"],
        ],
    ),
    ("subreaper", &[&["-s"]]),
    ("kill-process-group", &[&["-g"]]),
    // Each has a test of its own.
    ("wait-all", &[]),
    ("pause", &[]),
    // These are no inits, and end by themselves.
    ("install", &[]),
    ("zombies", &[]),
    ("license", &[]),
];

fn no_option_makes_it_allocate() {
    use_guarded_build();
    let mut missing: BTreeSet<String> = rinit::cli::definition::command()
        .get_arguments()
        .filter_map(|option| option.get_long().map(str::to_owned))
        .collect();
    for option in OPTIONS.map(|(option, _)| option).into_iter().chain(["help", "version"]) {
        assert!(missing.remove(option), "--{option} is no option");
    }
    assert!(missing.is_empty(), "these are not tried: {missing:?}");
    let all: Vec<&[&str]> = OPTIONS.iter().flat_map(|(_, rows)| rows.iter().copied()).chain([&[][..]]).collect();
    // All at once as well, but for those that exclude each other.
    let together: Vec<&str> = all.concat().into_iter().filter(|word| !["-a", "RINIT_ALL=1"].contains(word)).collect();
    for words in all.into_iter().chain([&together[..]]) {
        for role in BOTH_ROLES {
            let temp = TempDir::new();
            let file = temp.file("came");
            let mut command = program(rinit());
            let (variables, options): (Vec<&str>, _) = words.iter().partition(|word| word.contains('='));
            command.args(options).args([&probe(), "exercise", &file, "60000"]);
            command.envs(variables.into_iter().filter_map(|variable| variable.split_once('=')));
            let outcome = run_to_end(role, &mut command);
            assert_eq!(outcome.code, 7, "{role:?} {words:?}: {}", outcome.stderr);
            let came = fs::read_to_string(&file).unwrap();
            for line in ["reaped", "10 plain", "40 value 0"] {
                assert!(came.lines().any(|other| other == line), "{role:?} {words:?}: no {line} in {came}");
            }
        }
    }
}

fn no_number_of_descendants_makes_it_allocate() {
    const COUNT: usize = 1_000;
    use_guarded_build();
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        // Each in a session of its own, so that they are found one by one as a subreaper.
        let daemons = format!("i=0; while [ $i -lt {COUNT} ]; do setsid {0} hold & i=$((i + 1)); done", probe());
        let script = format!("({daemons}); exec {} record {file} 15 7", probe());
        let mut command = program(rinit());
        command.args(["-a", "-w", "-vvv", "--grace", "1h", "sh", "-c", &script]);
        let mut running = Running::spawn_captured(role, &mut command);
        wait_until_ready(&file);
        wait_until("all to be there", || (children(running.pid).len() == COUNT + 1).then_some(()));
        for number in [libc::SIGWINCH, libc::SIGCONT] {
            running.kill(number);
            let line = format!("{number} plain");
            wait_until("it to be passed on", || recorded_signals(&file).contains(&line).then_some(()));
        }
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7, "{role:?}");
    }
}

fn no_way_to_end_makes_it_allocate() {
    use_guarded_build();
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (main, daemon) = (temp.file("main"), temp.file("daemon"));
        let script = format!("{0} record-detached {daemon}; exec {0} record {main} 12 7", probe());
        for options in [&["--wait-all", "-vvv"][..], &["--wait-all", "--grace", "0.2", "-w"]] {
            let mut command = program(rinit());
            let mut running = Running::spawn_captured(role, command.args(options).args(["sh", "-c", &script]));
            wait_until_ready(&main);
            wait_until_ready(&daemon);
            running.kill(libc::SIGUSR2);
            wait_until("the main child to end", || (children(running.pid) == [pid_of(&daemon)]).then_some(()));
            assert!(running.is_running(), "{options:?}: {}", running.stderr());
            running.kill(libc::SIGTERM);
            // With a grace period the daemon is killed at the deadline.
            if !options.contains(&"--grace") {
                wait_until("SIGTERM to arrive", || {
                    recorded_signals(&daemon).contains(&"15 plain".into()).then_some(())
                });
                kill(pid_of(&daemon), libc::SIGKILL);
            }
            assert_eq!(running.exit_code(), 7, "{role:?} {options:?}: {}", running.stderr());
            fs::remove_file(&main).unwrap();
            fs::remove_file(&daemon).unwrap();
        }

        let mut command = program(rinit());
        command.args(["--kill-after", "0.1", "-vvv", &probe(), "record", &main]);
        let mut running = Running::spawn_captured(role, &mut command);
        wait_until_ready(&main);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 137, "{role:?}: {}", running.stderr());
    }
}

fn a_pause_does_not_allocate() {
    use_guarded_build();
    for options in [&["--pause"][..], &["--pause", "-w", "-vvv", "--grace", "1h"]] {
        let mut command = program(rinit());
        let mut running = Running::spawn_captured(Role::Pid1, command.args(options));
        wait_until("the pause", || is_waiting(running.pid).then_some(()));
        assert!(in_pid_namespace_of(running.pid).args([&probe(), "orphans", "50"]).status().unwrap().success());
        wait_until("the orphans to be reaped", || children(running.pid).is_empty().then_some(()));
        for signal in forwarded_signals().filter(|signal| ![libc::SIGTERM, libc::SIGINT].contains(signal)) {
            running.kill(signal);
        }
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0, "{options:?}: {}", running.stderr());
    }
}

fn the_kernel_is_not_asked_for_memory() {
    // Of the build that is released: what the C library allocates for itself does not pass through Rust's allocator.
    for scenario in Scenario::ALL {
        let calls = faults::calls_after_the_start(scenario);
        assert!(calls.iter().any(|call| call == "rt_sigtimedwait"), "{scenario:?}: {calls:?}");
        let asks = |call: &&String| ["brk", "mmap", "mmap2", "mremap"].contains(&call.as_str());
        assert_eq!(calls.iter().find(asks), None, "{scenario:?}");
    }
}

fn no_fault_makes_pid_1_allocate() {
    use_guarded_build();
    faults::check(Scenario::WorkAsPid1);
}

fn no_fault_makes_a_subreaper_allocate() {
    use_guarded_build();
    faults::check(Scenario::WorkAsSubreaper);
}

fn no_fault_makes_a_subreaper_allocate_that_signals_every_descendant() {
    use_guarded_build();
    faults::check(Scenario::AllAsSubreaper);
}

fn no_fault_makes_a_job_allocate() {
    use_guarded_build();
    faults::check(Scenario::Job);
}

fn no_fault_makes_pid_1_allocate_that_has_a_terminal() {
    use_guarded_build();
    faults::check(Scenario::TerminalAsPid1);
}
