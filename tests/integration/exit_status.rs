//! The exit code is the command's: the conventions of the shell, env(1), timeout(1) and docker run.

use std::process::Stdio;

use crate::harness::{BOTH_ROLES, Role, Running, TempDir, command, probe, program, rinit, run, run_to_end, run_with};

tests! {
    requires [Namespaces];
    every_exit_code_comes_through,
    a_death_by_a_signal_gives_128_and_its_number,
    a_command_that_cannot_be_started_is_126_or_127_and_says_why,
    a_script_without_an_interpreter_line_runs_by_sh,
    a_script_whose_shell_is_missing_is_named,
    a_file_with_a_nul_in_its_first_line_is_no_script,
    a_command_is_found_in_path_past_what_cannot_be_run,
    a_remapped_code_becomes_0_and_no_other_does,
    a_program_for_another_machine_is_said_to_be_one,
}

fn every_exit_code_comes_through() {
    for role in BOTH_ROLES {
        // All at once: what takes time is starting them.
        let mut all: Vec<_> = (0..=255)
            .map(|code| {
                let mut command = command(&[&probe(), "exit", &code.to_string()]);
                (code, Running::spawn(role, command.stderr(Stdio::null())))
            })
            .collect();
        for (code, running) in &mut all {
            assert_eq!(running.exit_code(), *code, "{role:?}");
        }
    }
}

fn a_death_by_a_signal_gives_128_and_its_number() {
    for role in BOTH_ROLES {
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV, libc::SIGABRT, libc::SIGPIPE, 34, 50, 64] {
            let outcome = run(role, &[&probe(), "die", &signal.to_string()]);
            assert_eq!(outcome.code, 128 + signal, "{role:?}: {}", outcome.stderr);
        }
    }
}

fn a_command_that_cannot_be_started_is_126_or_127_and_says_why() {
    let temp = TempDir::new();
    let plain = temp.write("plain", b"#!/bin/sh\n", 0o644);
    let foreign = temp.write("foreign", b"\x7fELF\x02\x01\x01\0not for this machine\0\0", 0o755);
    let lost = temp.write("lost", b"#!/no/such/interpreter\n", 0o755);
    let directory = temp.path().to_str().unwrap().to_owned();
    let below_file = format!("{plain}/x");
    for role in BOTH_ROLES {
        for (name, code, why) in [
            (plain.as_str(), 126, "Permission denied"),
            (&directory, 126, "Permission denied"),
            (&foreign, 126, "Exec format error"),
            ("/no/such/file", 127, "No such file or directory\n"),
            ("no-such-command", 127, "No such file or directory\n"),
            ("", 127, "No such file"),
            (&below_file, 127, "Not a directory"),
            (&lost, 127, "interpreter"),
        ] {
            // A directory of PATH that may not be searched gives 126: execvp(3).
            let outcome = run_with(role, &["--", name], |command| command.env("PATH", "/usr/bin:/bin"));
            assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(why) && outcome.stderr.contains(name), "{}", outcome.stderr);
            assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        }
    }
}

fn a_script_without_an_interpreter_line_runs_by_sh() {
    let temp = TempDir::new();
    let script = temp.write("script", b"echo \"$0 $1\"; exit 5\n", 0o755);
    for role in BOTH_ROLES {
        let outcome = run(role, &[script.as_str(), "with arguments"]);
        assert_eq!((outcome.code, outcome.stdout), (5, format!("{script} with arguments\n")));
    }
}

fn a_script_whose_shell_is_missing_is_named() {
    let temp = TempDir::new();
    temp.copy(rinit(), "rinit");
    temp.write("script", b"echo never\n", 0o755);
    for name in ["script", "/script"] {
        let mut command = program("chroot");
        command.arg(temp.path()).args(["/rinit", "--", name]).env("PATH", "/none:/:/usr/sbin:/usr/bin");
        let outcome = run_to_end(Role::Subreaper, &mut command);
        assert_eq!(outcome.code, 127, "{}", outcome.stderr);
        let expected = format!("cannot run '{name}': No such file or directory; it is a script");
        assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);
    }
}

fn a_file_with_a_nul_in_its_first_line_is_no_script() {
    let temp = TempDir::new();
    let binary = temp.write("binary", b"exit 5 # \0\n", 0o755);
    // The shell may find data behind its last line.
    let script = temp.write("script", b"exit 5\n\0", 0o755);
    for role in BOTH_ROLES {
        let outcome = run(role, &[binary.as_str()]);
        assert_eq!(outcome.code, 126, "{role:?}: {}", outcome.stderr);
        assert!(outcome.stderr.ends_with("Exec format error\n"), "{role:?}: {}", outcome.stderr);
        assert_eq!(run(role, &[script.as_str()]).code, 5, "{role:?}");
    }
}

fn a_command_is_found_in_path_past_what_cannot_be_run() {
    let temp = TempDir::new();
    let first = temp.file("first");
    let second = temp.file("second");
    for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
        std::fs::create_dir(directory).unwrap();
        temp.write(&format!("{}/tool", directory.rsplit('/').next().unwrap()), b"#!/bin/sh\nexit 3\n", mode);
    }
    let in_path = |path: String| run_with(Role::Subreaper, &["tool"], |command| command.env("PATH", path)).code;
    assert_eq!(in_path(format!("{first}:{second}:/bin")), 3);
    assert_eq!(in_path(format!("{first}:/bin")), 126, "found, but not to be run");
    assert_eq!(in_path("/bin".into()), 127);
}

fn a_remapped_code_becomes_0_and_no_other_does() {
    for role in BOTH_ROLES {
        for (option, signal_or_code, expected) in [
            ("143", ["die", "15"], 0),
            ("143", ["exit", "143"], 0),
            ("1,143", ["exit", "1"], 0),
            ("143", ["exit", "7"], 7),
        ] {
            let [duty, number] = signal_or_code;
            assert_eq!(run(role, &["-e", option, &probe(), duty, number]).code, expected);
        }
        let missing = ["-e", "127", "no-such-command"];
        let outcome = run_with(role, &missing, |command| command.env("PATH", "/usr/bin:/bin"));
        assert_eq!(outcome.code, 127, "rinit's own failures stay");
    }
}

fn a_program_for_another_machine_is_said_to_be_one() {
    // A whole program but for the number of its machine: elf(5). This one, Itanium, no emulator runs.
    let temp = TempDir::new();
    let mut program = std::fs::read(probe()).unwrap();
    program[18..20].copy_from_slice(&50_u16.to_ne_bytes());
    let foreign = temp.write("foreign", &program, 0o755);
    for role in BOTH_ROLES {
        let outcome = run(role, &["--", &foreign]);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (126, 1), "{role:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("another architecture"), "{role:?}: {}", outcome.stderr);
        // In the middle of PATH, too.
        let outcome = run_with(role, &["--", "foreign"], |command| command.env("PATH", temp.path()));
        assert_eq!(outcome.code, 126, "{role:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("another architecture"), "{role:?}: {}", outcome.stderr);
    }
}
