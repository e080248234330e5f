//! What the documents advise, and what they warn of, done as they say it.

use std::fs;

use crate::harness::engine::{Daemon, Engine};
use crate::harness::podman::Podman;
use crate::harness::pty::{BASH, CTRL_C, Session};
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, command, kill, pid_of, probe, rinit, run, run_with, wait_until,
    wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    the_keys_of_a_terminal_are_not_rewritten,
    nested_rinits_both_read_the_variables,
    the_signals_that_lxc_and_systemd_stop_a_container_by_become_sigterm,
    a_rinit_that_is_killed_outside_of_pid_1_leaves_its_command_running,
    a_shell_loop_goes_on_after_ctrl_c,
    a_sigkill_is_told_at_level_info,
    wait_all_waits_for_the_log_of_a_script_that_has_ended,
    a_grace_period_has_to_fit_into_the_time_that_the_runtime_gives requires [Docker],
    the_init_of_docker_run_init_lists_the_zombies requires [Root, Docker],
    the_init_of_podman_run_init_lists_the_zombies requires [Root, Program("podman"), Program("runc")],
}

fn the_keys_of_a_terminal_are_not_rewritten() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let mut session = Session::start(role, command(&["-r", "INT:TERM", "--", &probe(), "record", &file]));
        wait_until_ready(&file);
        session.command();
        session.press(CTRL_C);
        wait_until_recorded(&file, &["2 plain"]);
        session.leader.kill(libc::SIGINT);
        wait_until_recorded(&file, &["2 plain", "15 plain"]);
    }
}

fn nested_rinits_both_read_the_variables() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let inner = rinit().into_string().unwrap();
    let words = ["--", &inner, "--", &probe(), "record", &file];
    let running = Running::start(Role::Pid1, &words, |command| command.env("RINIT_REWRITE", "TERM:INT,INT:QUIT"));
    wait_until_ready(&file);
    running.kill(libc::SIGTERM);
    wait_until_recorded(&file, &["3 plain"]);

    let file = temp.file("all");
    let words = ["--", &inner, "--", &probe(), "record", &file];
    let running = Running::start(Role::Pid1, &words, |command| command.env("RINIT_ALL", "1"));
    wait_until_ready(&file);
    // Real-time signals are queued: two stay two.
    running.kill(40);
    wait_until_recorded(&file, &["40 plain", "40 plain"]);
}

fn the_signals_that_lxc_and_systemd_stop_a_container_by_become_sigterm() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let words = ["-r", "PWR:TERM,RTMIN+3:TERM", "--", &probe(), "record", &file];
    let running = Running::start(Role::Pid1, &words, |command| command);
    wait_until_ready(&file);
    running.kill(libc::SIGPWR);
    wait_until_recorded(&file, &["15 plain"]);
    running.kill(libc::SIGRTMIN() + 3);
    wait_until_recorded(&file, &["15 plain", "15 plain"]);
}

fn a_rinit_that_is_killed_outside_of_pid_1_leaves_its_command_running() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let mut running = Running::start(Role::Subreaper, &["--", &probe(), "record", &file], |command| command);
    wait_until_ready(&file);
    let main_child = pid_of(&file);
    running.kill(libc::SIGKILL);
    running.status();
    kill(main_child, libc::SIGUSR1);
    wait_until_recorded(&file, &["10 plain"]);
}

/// An exit with 130 is no death by SIGINT to a shell, which then thinks that the command has dealt with it.
fn a_shell_loop_goes_on_after_ctrl_c() {
    let mut session = Session::shell(BASH);
    let (rinit, probe) = (rinit().into_string().unwrap(), probe());
    session.line(&format!("for i in 1 2; do {rinit} -- {probe} hold; echo round $i.; done; echo code $?."));
    for round in ["round 1.", "round 2."] {
        session.job();
        session.press(CTRL_C);
        session.expect(round);
    }
    session.prompt();
    // Without rinit it ends.
    session.line(&format!("for i in 1 2; do sh -c 'echo begun; exec {probe} hold'; echo round $i.; done"));
    session.expect("\nbegun\n");
    session.press(CTRL_C);
    session.prompt();
    session.line("echo after");
    let rest = session.expect("\nafter\n");
    assert!(!rest.contains("round 1."), "{rest}");
}

fn a_sigkill_is_told_at_level_info() {
    let words = ["--", "sh", "-c", "kill -KILL $$"];
    let outcome = run_with(Role::Pid1, &words, |command| command.env("RINIT_LOG", "info"));
    assert_eq!(outcome.code, 137);
    assert!(outcome.stderr.contains("was killed by SIGKILL"), "{}", outcome.stderr);
    let outcome = run(Role::Pid1, &words);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (137, ""));
}

fn wait_all_waits_for_the_log_of_a_script_that_has_ended() {
    let temp = TempDir::new();
    let log = temp.file("log");
    // Like tee, but later than any tee.
    let script = format!("exec > >(sleep 0.3; cat >{log}); exec echo last");
    let outcome = run(Role::Pid1, &["-c", "--wait-all", "--", "bash", "-c", &script]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(log).unwrap(), "last\n");
}

fn a_grace_period_has_to_fit_into_the_time_that_the_runtime_gives() {
    let docker = Engine::with_client(&["docker"]);
    let image =
        docker.image(&[(rinit().to_str().unwrap(), "rinit"), (&probe(), "probe"), ("/bin/busybox", "bin/busybox")]);
    // The helper takes SIGTERM and stays.
    let script = "/probe record /dev/null & exec /probe record /dev/stdout 15 7";
    for (grace, seconds, code) in [("1h", "1", 137), ("0.5", "200", 7)] {
        let grace = format!("RINIT_GRACE={grace}");
        let container = docker.start(&["--env", &grace, &image.name, "/rinit", "/bin/busybox", "sh", "-c", script]);
        container.wait_until_logged("ready");
        docker.get(&["stop", "--time", seconds, &container.name]);
        assert_eq!(container.code(), code, "{grace}: {}", container.logs());
    }
}

/// A container that hoards zombies, below an engine's own init, which is asked for them.
fn lists_the_zombies(engine: &Engine, options: &[&str], path: &str) {
    let image = engine.image(&[(&probe(), "probe")]);
    let container = engine.start(&[options, &[&image.name, "/probe", "hoard", "3", "/dev/stdout"]].concat());
    container.wait_until_logged("ready");
    let outcome = wait_until("the zombies to be three", || {
        let outcome = container.exec(&[path, "--zombies"]);
        outcome.stdout.contains("probe (3)").then_some(outcome)
    });
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
}

fn the_init_of_docker_run_init_lists_the_zombies() {
    let path = rinit().into_string().unwrap();
    let daemon = Daemon::start("{}", |command| command.args(["--init-path", &path]));
    lists_the_zombies(&daemon.docker, &["--init"], "/sbin/docker-init");
}

fn the_init_of_podman_run_init_lists_the_zombies() {
    let path = rinit().into_string().unwrap();
    let podman = Podman::new("");
    lists_the_zombies(&podman.engine, &["--init", "--init-path", &path], "/run/podman-init");
}
