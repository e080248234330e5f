//! Where an init has to live: an empty root, no privileges, a limit that refuses the fork, a kernel that refuses a call.

use std::fs;
use std::process::Command;

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, probe, program, rinit, run_to_end, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_root_without_anything_is_enough requires [Program("busybox")],
    leaving_works_without_proc_as_pid_1 requires [Program("busybox")],
    no_privilege_is_needed requires [Root],
    a_refused_fork_is_told_and_ends_with_125 requires [Root],
    a_process_that_memory_is_too_short_for_is_told_and_ends_with_125 requires [Program("strace")],
    a_refused_close_range_closes_all_the_same requires [Program("strace")],
    a_refused_subreaper_call_is_a_warning requires [Program("strace")],
    the_parents_death_between_the_question_and_the_call_is_noticed requires [Program("strace")],
    a_command_that_became_another_user_ends_nothing requires [Root],
    a_main_child_that_is_stopped_or_traced_is_still_the_main_child,
    it_is_static_and_alone requires [Program("readelf")],
    a_wait_that_is_interrupted_now_and_then_goes_on,
}

/// A root that holds rinit and busybox, both static, and nothing else: no /proc, libc or /tmp, and no device. (The
/// shell wants to open something by the name of /dev/null for what it starts in the background.)
fn bare_root() -> TempDir {
    let root = TempDir::new();
    root.copy(rinit(), "rinit");
    root.copy("/bin/busybox", "busybox");
    fs::create_dir(root.file("dev")).unwrap();
    root.write("dev/null", b"", 0o644);
    root
}

fn a_root_without_anything_is_enough() {
    for role in BOTH_ROLES {
        let root = bare_root();
        let within = |words: &[&str]| {
            let mut command = program("chroot");
            run_to_end(role, command.arg(root.path()).args(words))
        };
        let outcome = within(&["/rinit", "/rinit", "--version"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stdout.starts_with("rinit "));

        let orphans = "i=0; while [ $i -lt 50 ]; do (/busybox true &); i=$((i+1)); done; exit 3";
        let outcome = within(&["/rinit", "-vv", "-w", "/busybox", "sh", "-c", orphans]);
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("exiting with 3 after "), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("after 0 orphans"), "{}", outcome.stderr);

        for (words, code) in [(&["/rinit", "nothing"][..], 127), (&["/rinit", "/"], 126), (&["/rinit", "-x"], 125)] {
            assert_eq!(within(words).code, code, "{words:?}");
        }
    }
}

fn leaving_works_without_proc_as_pid_1() {
    let root = bare_root();
    let straggler = "(trap 'exit 0' TERM; /busybox touch /ready; while :; do /busybox sleep 0.02; done) & \
                     until [ -e /ready ]; do :; done; exit 3";
    let mut command = program("chroot");
    command.arg(root.path()).args(["/rinit", "--grace", "1h", "/busybox", "sh", "-c", straggler]);
    assert_eq!(run_to_end(Role::Pid1, &mut command).code, 3);
}

fn no_privilege_is_needed() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let copy = temp.copy(rinit(), "rinit");
        let mut command = program("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs"]);
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
        command.args([&copy, "-v", "--grace", "1h", "sh", "-c"]);
        command.arg("(sleep 0.01 &); trap 'exit 4' TERM; kill -TERM $PPID; while :; do sleep 0.01; done");
        let outcome = run_to_end(role, &mut command);
        assert_eq!(outcome.code, 4, "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    }
}

fn a_refused_fork_is_told_and_ends_with_125() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let copy = temp.copy(rinit(), "rinit");
        let mut command = program("setpriv");
        // Somebody who runs nothing else here.
        command.args(["--reuid=54322", "--regid=54322", "--clear-groups", "prlimit", "--nproc=1", &copy, "true"]);
        let outcome = run_to_end(role, &mut command);
        assert_eq!(outcome.code, 125, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("cannot start a process"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("limit on processes"), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1);
    }
}

fn a_process_that_memory_is_too_short_for_is_told_and_ends_with_125() {
    let mut command = program("strace");
    command.args(["-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:error=ENOMEM"]).arg(rinit()).arg("true");
    let outcome = run_to_end(Role::Subreaper, &mut command);
    assert_eq!(outcome.code, 125, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("memory is short"), "{}", outcome.stderr);
}

fn a_refused_close_range_closes_all_the_same() {
    for errno in ["EPERM", "ENOSYS"] {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!(
            "exec 5</dev/null 77</dev/null; exec strace -f -o /dev/null -e trace=close_range -e inject=close_range:error={errno} {} {} record {file}",
            rinit().to_str().unwrap(),
            probe()
        );
        let mut running = Running::spawn(Role::Subreaper, program("/bin/bash").args(["-c", &script]));
        crate::harness::wait_until_ready(&file);
        let rinit: libc::pid_t =
            crate::harness::status_line(crate::harness::pid_of(&file), "PPid").unwrap().parse().unwrap();
        wait_until("rinit to let go", || (crate::harness::open_descriptors(rinit) == [2]).then_some(()));
        assert!(running.is_running());
    }
}

fn a_refused_subreaper_call_is_a_warning() {
    let mut command = program("strace");
    command.args(["-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:error=EPERM"]).arg(rinit());
    let outcome = run_to_end(Role::Subreaper, command.args(["sh", "-c", "exit 3"]));
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("warning: cannot become a subreaper"), "{}", outcome.stderr);
}

fn the_parents_death_between_the_question_and_the_call_is_noticed() {
    // The parent goes while rinit is in the call, after it asked who its parent is: the kernel would never send it.
    let in_prctl = format!("grep -q '^{} ' /proc/$!/syscall", libc::SYS_prctl);
    let parent = format!("{} -v -p USR1 {} hold & until {in_prctl}; do :; done", rinit().to_str().unwrap(), probe());
    let mut command = program("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:delay_enter=500000:when=1"]);
    let running = Running::spawn_captured(Role::Subreaper, command.args(["sh", "-c", &parent]));
    wait_until("the command to get it", || running.stderr().contains("exiting with 138").then_some(()));
}

fn a_command_that_became_another_user_ends_nothing() {
    // Without CAP_KILL the forwarding fails with EPERM: tini ends then, and the container with it.
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let copy = temp.copy(probe(), "probe");
        let mut command = program("setpriv");
        command.args(["--inh-caps=-kill", "--bounding-set=-kill"]).arg(rinit());
        command.args(["setpriv", "--reuid=54323", "--clear-groups", &copy, "record", &file, "12", "5"]);
        let mut running = Running::spawn_captured(role, &mut command);
        crate::harness::wait_until_ready(&file);
        running.kill(libc::SIGUSR1);
        wait_until("the refusal", || running.stderr().contains("cannot send SIGUSR1").then_some(()));
        assert!(running.is_running() && crate::harness::recorded_signals(&file).is_empty());
        crate::harness::kill(running.main_child(), libc::SIGUSR2);
        assert_eq!(running.exit_code(), 5);
    }
}

fn a_main_child_that_is_stopped_or_traced_is_still_the_main_child() {
    for role in BOTH_ROLES {
        let mut running = Running::start(role, &[&probe(), "hold"], |command| command);
        let main_child = running.main_child();
        for _ in 0..3 {
            crate::harness::kill(main_child, libc::SIGSTOP);
            wait_until("it to stop", || (crate::harness::state(main_child) == Some('T')).then_some(()));
            crate::harness::kill(main_child, libc::SIGCONT);
            wait_until("it to go on", || (crate::harness::state(main_child) == Some('S')).then_some(()));
        }
        assert_eq!(children(running.pid), [main_child]);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 143);
    }
}

fn it_is_static_and_alone() {
    // No program interpreter, and no library: what `file` and ldd look at.
    let output = Command::new("readelf").args(["--program-headers", "--dynamic"]).arg(rinit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("LOAD") && !text.contains("INTERP") && !text.contains("NEEDED"), "{text}");
    let running = Running::start(Role::Pid1, &[&probe(), "hold"], |command| command);
    assert_eq!(crate::harness::status_line(running.pid, "Threads").as_deref(), Some("1"));
}

fn a_wait_that_is_interrupted_now_and_then_goes_on() {
    // A tracer that attaches interrupts it, as a freezer does, and sends nothing.
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let running = Running::spawn_captured(role, &mut command(&[&probe(), "record", &file]));
        wait_until_ready(&file);
        for _ in 0..30 {
            wait_until("rinit to wait", || crate::harness::is_waiting(running.pid).then_some(()));
            attach_and_leave(running.pid);
            // Now and then is what is tried: at once, over and over, would be a wait that does not work.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        running.kill(libc::SIGUSR1);
        wait_until_recorded(&file, &["10 plain"]);
        assert_eq!(running.stderr(), "");
    }
}

/// ptrace(2): interrupts a process, and lets it go on.
fn attach_and_leave(pid: libc::pid_t) {
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take numbers alone; the status is a live int.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, null, null), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, null, null), 0);
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, libc::__WALL), pid);
        assert_eq!(libc::ptrace(libc::PTRACE_DETACH, pid, null, null), 0);
    }
}
