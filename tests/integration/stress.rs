//! Storms: orphans, signals, stops and continues by the thousand, all at once. Nothing is lost, nothing is left, the exit
//! code is right, and memory stays what it was.
//!
//! `RINIT_STORM=N` makes everything N times as much: `ci/soak`.

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use libc::{c_int, pid_t};

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, forwarded_signals, kill, probe, program, queue_one,
    recorded_signals, rinit, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces];
    nothing_is_lost_or_left_and_memory_stays_flat,
    the_main_childs_exit_in_a_storm_of_everything_gives_its_code,
    a_fork_bomb_of_orphans_under_a_process_limit_is_reaped_and_signals_get_through requires [Root],
    stops_and_continues_by_the_thousand_leave_the_command_running,
    stops_and_continues_by_the_thousand_of_a_job_leave_the_command_running,
}

/// This many times what the normal suite takes.
fn times(amount: usize) -> usize {
    amount * std::env::var("RINIT_STORM").map_or(1, |factor| factor.parse::<usize>().unwrap())
}

/// Memory that is a process's alone, in KiB.
fn private_dirty(pid: pid_t) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Signals without a value, to be sent in any number. Stops and continues take each other away while they are pending,
/// and SIGTERM ends the recorder.
fn plain() -> Vec<c_int> {
    let others = [libc::SIGTERM, libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    forwarded_signals().filter(|number| *number < 32 && !others.contains(number)).collect()
}

fn nothing_is_lost_or_left_and_memory_stays_flat() {
    const SENDERS: usize = 3;
    const BURST: usize = 200;
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, go) = (temp.file("log"), temp.file("go"));
        let orphans = times(4_000);
        let makers = format!("until [ -e {go} ]; do sleep 0.01; done; exec {} orphans {orphans}", probe());
        let script = format!("({makers}) & ({makers}) & exec {} record {file} 15 7", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["-c", "-v", "sh", "-c", &script]));
        wait_until_ready(&file);
        let (pid, main_child) = (running.pid, running.main_child());
        for number in plain() {
            kill(pid, number);
        }
        wait_until("the first signals", || (recorded_signals(&file).len() >= plain().len()).then_some(()));
        // Until it is on the disk, a file that was just built has dirty pages, too.
        File::open(rinit()).unwrap().sync_all().unwrap();
        let before = private_dirty(pid);

        fs::write(&go, "").unwrap();
        let (sent, all_made) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (file, sent, all_made) = (&file, &sent, &all_made);
                scope.spawn(move || {
                    let number = 40 + sender as c_int;
                    let mut value = 0;
                    let (mut log, mut news) = (File::open(file).unwrap(), String::new());
                    // A burst at a time, since the kernel refuses what a queue has no room for: RLIMIT_SIGPENDING.
                    while !all_made.load(Ordering::Relaxed) || value < times(2_000) {
                        for plain in plain() {
                            kill(pid, plain);
                        }
                        for _ in 0..BURST {
                            queue_one(pid, number, value);
                            value += 1;
                        }
                        let last = format!("{number} value {}\n", value - 1);
                        wait_until("the burst to arrive", || {
                            log.read_to_string(&mut news).unwrap();
                            news.contains(&last).then(|| news.clear())
                        });
                    }
                    sent.fetch_add(value, Ordering::Relaxed);
                });
            }
            // The makers are orphans' parents, and the main child's only children.
            wait_until("the orphans to be made", || {
                children(main_child).iter().all(|maker| crate::harness::state(*maker) == Some('Z')).then_some(())
            });
            all_made.store(true, Ordering::Relaxed);
        });
        wait_until("the last orphan to be reaped", || (children(pid) == [main_child]).then_some(()));
        let after = private_dirty(pid);
        assert!(after <= before + 8, "{role:?}: {before} KiB before, {after} KiB after {orphans} orphans");

        let log = recorded_signals(&file);
        for sender in 0..SENDERS {
            let own = format!("{} value ", 40 + sender);
            let values: Vec<usize> = log.iter().filter_map(|line| line.strip_prefix(&own)?.parse().ok()).collect();
            assert!(values.iter().copied().eq(0..values.len()), "{role:?}: in order");
        }
        let values = log.iter().filter(|line| line.contains("value")).count();
        assert_eq!(values, sent.load(Ordering::Relaxed), "{role:?}: as many as were sent");
        // And every kind of signal still gets through.
        for number in plain() {
            let line = format!("{number} plain");
            let count = || recorded_signals(&file).iter().filter(|other| **other == line).count();
            let earlier = count();
            kill(pid, number);
            wait_until(&line, || (count() > earlier).then_some(()));
        }
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7);
        let closing = format!("exiting with 7 after {} orphans", 2 * orphans);
        assert!(running.stderr().contains(&closing), "{role:?}: {}", running.stderr());
        println!("{role:?}: {} orphans, {values} queued signals; {before} KiB before, {after} KiB after", 2 * orphans);
    }
}

fn the_main_childs_exit_in_a_storm_of_everything_gives_its_code() {
    for role in BOTH_ROLES {
        for _ in 0..times(5) {
            let temp = TempDir::new();
            let (file, storm) = (temp.file("log"), temp.file("storm"));
            let script = format!("{0} storm {storm} & {0} storm {storm}2 & exec {0} record {file} 12 9", probe());
            let mut running = Running::spawn_captured(role, &mut command(&["-c", "--grace", "0", "sh", "-c", &script]));
            wait_until_ready(&file);
            wait_until("the storm", || fs::exists(&storm).unwrap().then_some(()));
            let (pid, has_ended) = (running.pid, AtomicBool::new(false));
            thread::scope(|scope| {
                for number in [libc::SIGUSR1, libc::SIGWINCH, 50] {
                    let has_ended = &has_ended;
                    scope.spawn(move || {
                        while !has_ended.load(Ordering::Relaxed) {
                            // Its end is what this is about. It stays a zombie, so the pid is nobody else's.
                            // SAFETY: numbers only.
                            unsafe { libc::kill(pid, number) };
                            thread::yield_now();
                        }
                    });
                }
                wait_until("signals", || (recorded_signals(&file).len() > 100).then_some(()));
                kill(pid, libc::SIGUSR2);
                // Not by waiting for it: that would give the pid away.
                wait_until("rinit to end", || (crate::harness::state(pid) == Some('Z')).then_some(()));
                has_ended.store(true, Ordering::Relaxed);
            });
            assert_eq!(running.exit_code(), 9, "{role:?}: {}", running.stderr());
        }
    }
}

fn a_fork_bomb_of_orphans_under_a_process_limit_is_reaped_and_signals_get_through() {
    for (role, user) in [(Role::Pid1, "61001"), (Role::Subreaper, "61002")] {
        let temp = TempDir::new();
        let (rinit, probe) = (temp.copy(rinit(), "rinit"), temp.copy(probe(), "probe"));
        fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let (file, storm) = (temp.file("log"), temp.file("storm"));
        let script =
            format!("for one in 1 2 3 4 5 6 7 8; do {probe} storm {storm}$one & done; exec {probe} record {file} 15 7");
        let mut limited = program("setpriv");
        limited.args(["--reuid", user, "--regid", user, "--clear-groups", "prlimit", "--nproc=24", &rinit, "-c", "--"]);
        let mut running = Running::spawn_captured(role, limited.args(["sh", "-c", &script]));
        wait_until_ready(&file);
        let enough = |one| fs::read_to_string(format!("{storm}{one}")).ok()?.parse::<usize>().ok();
        for one in 1..=8 {
            wait_until("the orphans of each", || enough(one).filter(|made| *made >= times(200)));
        }
        let mut expected = Vec::new();
        for number in [libc::SIGUSR1, libc::SIGHUP, 64] {
            running.kill(number);
            expected.push(format!("{number} plain"));
            crate::harness::wait_until_recorded(&file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for storm in children(running.main_child()) {
            kill(storm, libc::SIGKILL);
        }
        wait_until("all orphans to be reaped", || (children(running.pid).len() == 1).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7, "{role:?}: {}", running.stderr());
    }
}

fn stops_and_continues_by_the_thousand_leave_the_command_running() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("ready");
        let script = format!("{0} storm {file}2 & exec {0} obey 7 {file}", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["-c", "sh", "-c", &script]));
        wait_until_ready(&file);
        for _ in 0..times(2_000) {
            running.kill(libc::SIGTSTP);
            running.kill(libc::SIGCONT);
        }
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 7, "{role:?}: {}", running.stderr());
    }
}

fn stops_and_continues_by_the_thousand_of_a_job_leave_the_command_running() {
    // The shell above it continues it each time; so do continues that are sent.
    let temp = TempDir::new();
    let file = temp.file("ready");
    let mut shell = program(probe());
    shell.arg("job").arg(rinit()).args([&probe(), "obey", "7", &file]).stdin(Stdio::null());
    let mut running = Running::spawn_captured(Role::Subreaper, &mut shell);
    wait_until_ready(&file);
    let rinit = *children(running.pid).first().unwrap();
    for round in 0..times(1_000) {
        kill(rinit, libc::SIGTSTP);
        if round % 3 == 0 {
            kill(rinit, libc::SIGCONT);
        }
    }
    kill(rinit, libc::SIGCONT);
    kill(rinit, libc::SIGTERM);
    assert_eq!(running.exit_code(), 7, "{}", running.stderr());
}
