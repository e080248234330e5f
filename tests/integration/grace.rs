//! `--grace`: what the main child leaves behind may finish, and the exit code is still the main child's.

use std::fs;
use std::process::{Child, Stdio};

use crate::harness::trace::HeldProcess;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, count_zombies, in_pid_namespace_of, is_waiting, kill,
    pid_of, probe, program, recorded_signals, rinit, run, state, status_line, wait_until, wait_until_ready,
    wait_until_recorded, wait_until_rinit,
};

tests! {
    requires [Namespaces];
    a_straggler_finishes_what_it_does_and_nobody_waits_for_the_deadline,
    a_time_beyond_any_clock_is_one_without_end,
    without_it_nobody_is_asked_or_waited_for,
    an_empty_container_is_left_at_once,
    zombies_by_the_hundred_are_nobody_who_is_left,
    zombies_by_the_hundred_are_reaped_while_a_straggler_is_waited_for,
    who_ignores_sigterm_is_killed_at_the_deadline,
    who_may_not_be_killed_is_named_once_and_left requires [Root],
    who_is_stopped_is_woken_to_finish,
    who_was_sent_another_signal_before_is_asked_all_the_same,
    signals_reach_all_that_is_left_meanwhile,
    as_subreaper_only_descendants_are_touched,
    the_pids_of_another_namespace_are_not_taken_for_descendants,
    orphans_without_end_do_not_put_the_deadline_off requires [Program("strace")],
    a_helper_that_an_asked_process_leaves_is_left_alone_until_the_deadline,
    who_entered_from_outside_is_waited_for_as_well,
    who_entered_from_outside_and_may_not_be_seen_is_waited_for_as_well requires [Root],
    who_entered_from_outside_and_is_not_waited_for_there_holds_nobody_up,
    the_wait_for_stragglers_is_one_call_with_a_deadline,
}

/// Longer than any test waits: what ends before that has not ended at the deadline.
const LONG: &str = "1h";

fn a_straggler_finishes_what_it_does_and_nobody_waits_for_the_deadline() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("data");
        let script = format!("{} flush {file} 700 & until [ -s {file} ]; do :; done; exit 3", probe());
        let outcome = run(role, &["--grace", LONG, "sh", "-c", &script]);
        assert_eq!(outcome.code, 3, "{role:?}: {}", outcome.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n");
        assert_eq!(outcome.stderr, "");
    }
}

fn a_time_beyond_any_clock_is_one_without_end() {
    let temp = TempDir::new();
    let file = temp.file("data");
    let script = format!("{} flush {file} 50 & until [ -s {file} ]; do :; done; exit 3", probe());
    let outcome = run(Role::Subreaper, &["--grace", "9223372036854775807", "sh", "-c", &script]);
    assert_eq!((outcome.code, fs::read_to_string(&file).unwrap().as_str()), (3, "flushed\n"));
}

fn without_it_nobody_is_asked_or_waited_for() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        assert_eq!(run(role, &["sh", "-c", &script]).code, 3);
        assert!(recorded_signals(&file).is_empty());
    }
}

fn an_empty_container_is_left_at_once() {
    for role in BOTH_ROLES {
        let outcome = run(role, &["-v", "--grace", LONG, "sh", "-c", "exit 3"]);
        assert_eq!(outcome.code, 3);
        assert!(!outcome.stderr.contains("left behind"), "{}", outcome.stderr);
    }
}

fn zombies_by_the_hundred_are_nobody_who_is_left() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("go");
        let script = format!("until [ -s {file} ]; do :; done; exec {} orphans 100", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["-v", "--grace", LONG, "sh", "-c", &script]));
        running.main_child();
        // So that all of them, and the main child, have ended when it looks.
        running.kill(libc::SIGSTOP);
        wait_until("rinit to stop", || (state(running.pid) == Some('T')).then_some(()));
        fs::write(&file, "go").unwrap();
        wait_until("all to have ended", || (count_zombies(running.pid) == 101).then_some(()));
        running.kill(libc::SIGCONT);
        assert_eq!(running.exit_code(), 0, "{role:?}");
        assert!(!running.stderr().contains("left behind"), "{role:?}: {}", running.stderr());
    }
}

fn zombies_by_the_hundred_are_reaped_while_a_straggler_is_waited_for() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, go) = (temp.file("log"), temp.file("go"));
        let probe = probe();
        let script = format!(
            "{probe} record {file} & (until [ -s {go} ]; do :; done; exec {probe} orphans 100) & \
             until [ -s {file} ]; do :; done; exit 3"
        );
        let mut running = Running::spawn(role, &mut command(&["--wait-all", "sh", "-c", &script]));
        wait_until_ready(&file);
        let straggler = pid_of(&file);
        let is_left = || children(running.pid).contains(&straggler) && children(running.pid).len() == 2;
        wait_until("rinit to wait for both", || (is_left() && is_waiting(running.pid)).then_some(()));
        // So that all of them have ended when it looks: one SIGCHLD tells of them all.
        running.kill(libc::SIGSTOP);
        wait_until("rinit to stop", || (state(running.pid) == Some('T')).then_some(()));
        fs::write(&go, "go").unwrap();
        wait_until("all to have ended", || (count_zombies(running.pid) == 101).then_some(()));
        running.kill(libc::SIGCONT);
        wait_until("all to be reaped", || (children(running.pid) == [straggler]).then_some(()));
        kill(straggler, libc::SIGKILL);
        assert_eq!(running.exit_code(), 3, "{role:?}");
    }
}

fn who_ignores_sigterm_is_killed_at_the_deadline() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["--grace", "0.3", "sh", "-c", &script]));
        assert_eq!(running.exit_code(), 3);
        // As it pleased: nobody else sent it anything, and SIGKILL came last.
        let mut got = recorded_signals(&file);
        got.sort();
        assert_eq!(got, ["15 plain", "18 plain"], "{role:?}");
        assert!(running.stderr().contains("killing every process left"), "{}", running.stderr());
        if role == Role::Subreaper {
            // As PID 1 rinit's own end is everybody's.
            wait_until("the straggler to be gone", || pid_if_there(&file).is_none().then_some(()));
        }
    }
}

/// Whether a probe that records into this file lives.
fn pid_if_there(file: &str) -> Option<()> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        command.split(|byte| *byte == 0).any(|word| word == file.as_bytes()).then_some(())
    })
}

/// A set-user-ID program that becomes root for good belongs to another user: kill(2), EPERM.
fn who_may_not_be_killed_is_named_once_and_left() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempDir::new();
    let log = temp.write("log", b"", 0o666);
    let become_root = temp.copy("/usr/bin/setpriv", "become-root");
    fs::set_permissions(&become_root, fs::Permissions::from_mode(0o4755)).unwrap();
    let command = format!(
        "{become_root} --reuid=0 --regid=0 --clear-groups {} record {log} >/dev/null 2>&1 & \
         until [ -s {log} ]; do :; done; exit 3",
        temp.copy(probe(), "probe")
    );
    let user = ["--reuid=54325", "--regid=54325", "--clear-groups", &temp.copy(rinit(), "rinit")];
    let outcome = program("setpriv").args(user).args(["--grace", "0.1", "sh", "-c", &command]).output().unwrap();
    let stderr = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(3), "{stderr}");
    let kills =
        stderr.lines().filter_map(|line| line.split_once("cannot send SIGKILL to process ")?.1.split_once(": "));
    let [(pid, why)] = kills.collect::<Vec<_>>()[..] else { panic!("{stderr}") };
    assert_eq!(why, "Operation not permitted");
    kill(pid.parse().unwrap(), libc::SIGKILL);
}

fn who_is_stopped_is_woken_to_finish() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("data");
        let script = format!("{} flush {file} 0 & until [ -s {file} ]; do :; done; kill -STOP $!; exit 3", probe());
        assert_eq!(run(role, &["--grace", LONG, "sh", "-c", &script]).code, 3);
        assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n", "{role:?}");
    }
}

fn who_was_sent_another_signal_before_is_asked_all_the_same() {
    for role in BOTH_ROLES {
        for options in ["", "-a"] {
            let temp = TempDir::new();
            let (file, main) = (temp.file("log"), temp.file("main"));
            let script =
                format!("{0} record {file} & until [ -s {file} ]; do :; done; exec {0} record {main} 12 3", probe());
            let words = [options, "--grace", LONG, "sh", "-c", &script];
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let mut running = Running::start(role, &words, |command| command);
            wait_until_ready(&main);
            running.kill(libc::SIGHUP);
            wait_until_recorded(&main, &["1 plain"]);
            wait_until_recorded(&file, &["1 plain"]);
            kill(pid_of(&main), libc::SIGUSR2);
            wait_until("the straggler to be asked", || {
                recorded_signals(&file).contains(&"15 plain".to_owned()).then_some(())
            });
            kill(pid_of(&file), libc::SIGKILL);
            assert_eq!(running.exit_code(), 3, "{role:?} {options:?}");
        }
    }
}

fn signals_reach_all_that_is_left_meanwhile() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (first, second) = (temp.file("first"), temp.file("second"));
        // One in the main child's group, one with a session of its own.
        let script = format!(
            "{0} record {first} 12 0 & {0} record-detached {second}; \
             until [ -s {first} ] && [ -s {second} ]; do :; done; exit 3",
            probe()
        );
        let mut running = Running::start(role, &["--grace", LONG, "-r", "HUP:USR1", "sh", "-c", &script], |c| c);
        wait_until("both to be asked", || {
            (recorded_signals(&first).len() + recorded_signals(&second).len() == 4).then_some(())
        });
        assert!(running.is_running());
        running.kill(libc::SIGHUP);
        for file in [&first, &second] {
            wait_until(format!("{file} to get it"), || {
                recorded_signals(file).contains(&"10 plain".to_owned()).then_some(())
            });
        }
        running.kill(libc::SIGUSR2);
        wait_until("the second to get it", || recorded_signals(&second).contains(&"12 plain".to_owned()).then_some(()));
        // The first has ended by that; the second is the last that rinit waits for.
        assert!(running.is_running());
        kill(pid_of(&second), libc::SIGKILL);
        assert_eq!(running.exit_code(), 3, "{role:?}");
    }
}

fn as_subreaper_only_descendants_are_touched() {
    let temp = TempDir::new();
    let (bystander, straggler) = (temp.file("bystander"), temp.file("straggler"));
    let script = format!(
        "{0} record {bystander} & \
         {1} --grace 0.3 sh -c '{0} record {straggler} & until [ -s {straggler} ]; do :; done; exit 3'; echo $?; wait",
        probe(),
        rinit().to_str().unwrap()
    );
    let running = Running::spawn_captured(Role::Subreaper, program("/bin/sh").args(["-c", &script]));
    wait_until("rinit's exit code", || running.stdout().contains('3').then_some(()));
    assert!(recorded_signals(&straggler).contains(&"15 plain".to_owned()));
    wait_until_ready(&bystander);
    kill(pid_of(&bystander), libc::SIGUSR2);
    wait_until_recorded(&bystander, &["12 plain"]);
}

fn the_pids_of_another_namespace_are_not_taken_for_descendants() {
    // A namespace made without its own /proc: what that has says whose child is whose somewhere else.
    let script =
        format!("{} -vv --grace 0.3 sh -c 'setsid sleep 1000 & exit 3'; echo code=$?", rinit().to_str().unwrap());
    let mut unshare = program("unshare");
    let mut running = Running::spawn_captured(
        Role::Subreaper,
        unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", &script]),
    );
    assert_eq!(running.exit_code(), 0);
    assert_eq!(running.stdout(), "code=3\n");
    let stderr = running.stderr();
    assert!(stderr.contains("belongs to another PID namespace") && !stderr.contains("sent SIG"), "{stderr}");
}

fn orphans_without_end_do_not_put_the_deadline_off() {
    for role in BOTH_ROLES {
        let held =
            HeldProcess::new(role, &["--grace", "0.3", "sh", "-c", "sleep 0.2; exit 3"], |c| c.stdin(Stdio::null()));
        // The first call finds nobody, the second one the main child. From then on there is one more whenever rinit asks.
        let mut traced = held.traced(&["-e", "inject=wait4:retval=77777:when=3+"]);
        assert_eq!(traced.running.exit_code(), 3);
    }
}

fn a_helper_that_an_asked_process_leaves_is_left_alone_until_the_deadline() {
    let temp = TempDir::new();
    let file = temp.file("log");
    // On SIGTERM the parent starts one more, in a session of its own, and ends.
    let script = format!("{} bequeath {file} & until [ -s {file} ]; do :; done; exit 3", probe());
    let words = ["-v", "--grace", "1", "sh", "-c", &script];
    let mut running = Running::spawn_captured(Role::Subreaper, &mut command(&words));
    // It has started, and says so.
    wait_until("the helper", || fs::read_to_string(&file).unwrap_or_default().contains("ready ").then_some(()));
    assert_eq!(running.exit_code(), 3);
    assert!(running.stderr().contains("killing every process left"), "{}", running.stderr());
    assert!(!recorded_signals(&file).contains(&"15 plain".to_owned()), "{:?}", recorded_signals(&file));
}

/// rinit as PID 1, whose command runs until a file is there. That is for somebody inside to write who is not a child.
fn wait_until_written(file: &str) -> Running {
    let script = format!("until [ -s {file} ]; do :; done; exit 3");
    Running::start(Role::Pid1, &["--grace", LONG, "sh", "-c", &script], |command| command)
}

fn who_entered_from_outside_is_waited_for_as_well() {
    let temp = TempDir::new();
    let (file, log) = (temp.file("data"), temp.file("log"));
    let mut running = wait_until_written(&file);
    let mut recorder = in_pid_namespace_of(running.pid).args([&probe(), "record", &log, "12", "0"]).spawn().unwrap();
    wait_until_ready(&log);
    // It is the one that is left, once this one is done.
    let mut flush = in_pid_namespace_of(running.pid).args([&probe(), "flush", &file, "200"]).spawn().unwrap();
    assert!(flush.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "flushed\n");
    wait_until("the wait", || (state(running.pid) == Some('S')).then_some(()));
    assert!(running.is_running());
    // What is left is reached, and rinit waits again.
    running.kill(libc::SIGHUP);
    wait_until("SIGHUP to get there", || recorded_signals(&log).contains(&"1 plain".to_owned()).then_some(()));
    // Whose parent ended in there is rinit's child, like any other.
    assert!(in_pid_namespace_of(running.pid).args([&probe(), "orphans", "50"]).status().unwrap().success());
    wait_until("the orphans to be reaped", || children(running.pid).is_empty().then_some(()));
    assert!(running.is_running());
    running.kill(libc::SIGUSR2);
    assert!(recorder.wait().unwrap().success());
    assert_eq!(running.exit_code(), 3);
}

fn who_entered_from_outside_and_may_not_be_seen_is_waited_for_as_well() {
    // /proc lists it, but does not let rinit read of it: hidepid=1 in proc(5).
    let temp = TempDir::new();
    let (go, log) = (temp.file("go"), temp.file("log"));
    let script = format!(
        "mount -t proc -o hidepid=1 proc /proc && exec setpriv --reuid=54325 --regid=54325 --clear-groups {} \
         --grace {LONG} sh -c 'until [ -s {go} ]; do :; done; exit 3'",
        temp.copy(rinit(), "rinit")
    );
    let mut running = Running::spawn(Role::Pid1, program("sh").args(["-c", &script]));
    wait_until_rinit(running.pid);
    let main_child = running.main_child();
    let mut recorder = in_pid_namespace_of(running.pid).args([&probe(), "record", &log, "12", "0"]).spawn().unwrap();
    wait_until_ready(&log);
    fs::write(&go, "go").unwrap();
    fs::set_permissions(&go, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    wait_until("the main child to be reaped", || {
        (!children(running.pid).contains(&main_child) && state(running.pid) == Some('S')).then_some(())
    });
    assert!(running.is_running());
    kill(pid_in(&recorder), libc::SIGUSR2);
    assert!(recorder.wait().unwrap().success());
    assert_eq!(running.exit_code(), 3);
}

/// The process that nsenter(1) has started.
fn pid_in(nsenter: &Child) -> i32 {
    children(nsenter.id() as i32)[0]
}

fn who_entered_from_outside_and_is_not_waited_for_there_holds_nobody_up() {
    let temp = TempDir::new();
    let (file, log) = (temp.file("data"), temp.file("log"));
    let mut running = wait_until_written(&file);
    let mut parent =
        Parent(in_pid_namespace_of(running.pid).args([&probe(), "record", &log, "15", "0"]).spawn().unwrap());
    wait_until_ready(&log);
    let entered = pid_in(&parent.0);
    kill(parent.0.id() as i32, libc::SIGSTOP);
    wait_until("the parent to be stopped", || (state(parent.0.id() as i32) == Some('T')).then_some(()));
    fs::write(&file, "go").unwrap();
    wait_until("it to have ended", || (state(entered) == Some('Z')).then_some(()));
    // The kernel does not let PID 1 go before all others have been reaped, so this is how far it comes: do_exit() has
    // taken its program away.
    wait_until("rinit to leave", || fs::read_link(format!("/proc/{}/exe", running.pid)).is_err().then_some(()));
    parent.go_on();
    assert!(parent.0.wait().unwrap().success());
    assert_eq!(running.exit_code(), 3);
}

/// A process that is stopped, so that it does not wait for its child. It goes on when the test ends, however that ends.
struct Parent(Child);

impl Parent {
    fn go_on(&self) {
        kill(self.0.id() as i32, libc::SIGCONT);
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.go_on();
        }
        let _ = self.0.wait();
    }
}

fn the_wait_for_stragglers_is_one_call_with_a_deadline() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{} record {file} & until [ -s {file} ]; do :; done; exit 3", probe());
        let running = Running::start(role, &["--grace", LONG, "sh", "-c", &script], |command| command);
        wait_until("the straggler to be asked", || (recorded_signals(&file).len() == 2).then_some(()));
        wait_until("the wait", || crate::harness::is_waiting(running.pid).then_some(()));
        let switches = || status_line(running.pid, "voluntary_ctxt_switches");
        let before = switches();
        // Whatever else happens on the machine meanwhile, rinit stays where it is.
        kill(pid_of(&file), libc::SIGUSR1);
        wait_until("something to happen", || (recorded_signals(&file).len() == 3).then_some(()));
        assert_eq!(switches(), before);
    }
}
