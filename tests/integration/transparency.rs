//! The command sees what it would see without rinit, and rinit keeps none of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::harness::pty::Session;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, command, open_descriptors, probe, program, read_to_end, rinit, run, run_to_end,
    run_with, wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces];
    mask_and_dispositions_are_those_without_rinit,
    a_sigchld_that_was_ignored_costs_no_exit_code,
    descriptors_directory_environment_umask_limits_and_session_are_those_without_rinit,
    on_a_terminal_the_command_has_the_descriptors_that_it_has_without_rinit,
    variables_that_name_rinits_pid_name_the_commands,
    arguments_are_bytes,
    the_commands_own_options_stay_its_own,
    the_name_of_the_command_is_as_given,
    rinit_keeps_nothing_but_stderr,
    closed_standard_descriptors_stay_closed_and_cost_nothing,
    the_pid_for_systemd_names_the_command,
    a_command_is_found_however_long_the_name_of_its_directory_is,
    an_entry_of_path_that_makes_a_name_too_long_is_passed_over,
    the_longest_name_of_a_file_is_found_and_a_longer_one_is_said_to_be_too_long,
}

fn mask_and_dispositions_are_those_without_rinit() {
    let states = [
        "",
        "ignore:13",
        "ignore:2,1",
        "ignore:17",
        "block:17",
        "block:1,2,3,15,20,21,22,34,40,64",
        "block:32,33;ignore:34,64",
        "ignore:17,20,21,22;block:17,18,20",
    ];
    for role in BOTH_ROLES {
        for state in states {
            let under = |between: &[OsString]| {
                let mut command = program(probe());
                command.args(["inherit", state]).args(between).args([&probe(), "state"]);
                let outcome = run_to_end(role, &mut command);
                assert_eq!(outcome.code, 0, "{}", outcome.stderr);
                outcome.stdout
            };
            let bare = under(&[]);
            assert!(bare.contains("blocked [") && bare.contains("ignored ["), "{bare}");
            assert_eq!(under(&[rinit()]), bare, "{role:?} {state}");
            assert_eq!(under(&[rinit(), "-vvv".into(), "--".into()]), bare, "{role:?} {state}");
        }
    }
}

fn a_sigchld_that_was_ignored_costs_no_exit_code() {
    for role in BOTH_ROLES {
        let mut command = program(probe());
        command.args(["inherit", "ignore:17"]).arg(rinit()).args([&probe(), "exit", "7"]);
        assert_eq!(run_to_end(role, &mut command).code, 7);
    }
}

fn descriptors_directory_environment_umask_limits_and_session_are_those_without_rinit() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let facts = |name: &str, words: &[OsString]| {
            let file = temp.file(name);
            let (first, rest) = words.split_first().unwrap();
            let extra = fs::File::open("/dev/null").unwrap();
            let mut command = program(first);
            command.args(rest).arg(&file).current_dir(temp.path());
            command.env("EMPTY", "").env("ODD", OsStr::from_bytes(b"a\xff\n=b")).env("LISTEN_PID", "424242");
            // SAFETY: system calls only, in the forked child.
            unsafe {
                command.pre_exec(move || {
                    libc::umask(0o027);
                    libc::dup2(extra.as_raw_fd(), 9);
                    libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 4096, rlim_max: 8192 });
                    Ok(())
                });
            }
            let outcome = run_to_end(role, &mut command);
            assert_eq!(outcome.code, 0, "{}", outcome.stderr);
            let text = fs::read_to_string(file).unwrap();
            let differ = ["pid ", "group ", "parent "];
            let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
            let own = [line("pid "), line("group ")];
            let same: Vec<String> = text
                .lines()
                .filter(|line| !differ.iter().any(|name| line.starts_with(name)))
                .map(str::to_owned)
                .collect();
            (own, same)
        };
        let (_, bare) = facts("bare", &[probe().into(), "facts".into()]);
        let ([pid, group], below) = facts("below", &[rinit(), "--".into(), probe().into(), "facts".into()]);
        assert_eq!(below, bare, "{role:?}");
        assert!(below[0].contains(" 9]") || below[0].contains(" 9,"), "{}", below[0]);
        assert_eq!(group, pid, "a group of its own");
    }
}

fn on_a_terminal_the_command_has_the_descriptors_that_it_has_without_rinit() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let descriptors = |name: &str, mut command: Command| {
            let file = temp.file(name);
            command.args(["facts", &file]);
            let mut session = Session::start(role, command);
            assert_eq!(session.leader.exit_code(), 0, "{role:?}: {}", session.rest());
            fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned()
        };
        let bare = descriptors("bare", program(probe()));
        assert_eq!(descriptors("below", command(&[&probe()])), bare, "{role:?}");
    }
}

fn variables_that_name_rinits_pid_name_the_commands() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("facts");
        let script = format!(
            "LISTEN_PID=$$ WATCHDOG_PID=$$ LISTEN_FDS=1 LISTEN_PIDFDID=7 exec {} {} facts {file}",
            rinit().to_str().unwrap(),
            probe()
        );
        assert_eq!(run_to_end(role, program("/bin/sh").args(["-c", &script])).code, 0);
        let text = fs::read_to_string(file).unwrap();
        let pid = text.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
        let hex = |text: String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        for name in ["LISTEN_PID", "WATCHDOG_PID"] {
            assert!(text.contains(&format!("variable {}\n", hex(format!("{name}={pid}")))), "{role:?}: {text}");
        }
        assert!(text.contains(&hex("LISTEN_FDS=1".into())));
        assert!(!text.contains(&hex("LISTEN_PIDFDID".into())), "it names rinit by another number");

        let script = format!("LISTEN_PIDFDID=7 WATCHDOG_PID=$$ exec {} env", rinit().to_str().unwrap());
        let outcome = run_to_end(role, program("/bin/sh").args(["-c", &format!("export LISTEN_PIDFDID; {script}")]));
        assert!(outcome.stdout.contains("LISTEN_PIDFDID=7\n"), "it names somebody else: {}", outcome.stdout);
    }
}

fn arguments_are_bytes() {
    let long = "x".repeat(120_000);
    let odd: Vec<OsString> = ["", "\n", "-", "-x", "--", "--help", "-e", "a b", "'\"$(id)`"]
        .into_iter()
        .map(OsString::from)
        .chain([OsString::from_vec(b"\xff\xfe\x01".to_vec())])
        .chain((0..9).map(|_| OsString::from(&long)))
        .collect();
    for role in BOTH_ROLES {
        for options in [&[][..], &["--"], &["-v", "-e", "3"], &["--rewrite=TERM:INT", "--"]] {
            let words: Vec<OsString> = options.iter().map(OsString::from).collect();
            let command: Vec<OsString> = [probe().into(), "arguments".into()].into_iter().chain(odd.clone()).collect();
            let outcome = run(role, &[words, command.clone()].concat());
            let hex = |word: &OsString| word.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let expected: String = command.iter().map(|word| hex(word) + "\n").collect();
            assert!(outcome.stdout == expected, "{role:?} {options:?}: {} bytes", outcome.stdout.len());
        }
    }
}

fn the_commands_own_options_stay_its_own() {
    let outcome = run(Role::Pid1, &["echo", "-n", "--help", "-V", "--"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "--help -V --"));
}

fn the_name_of_the_command_is_as_given() {
    let temp = TempDir::new();
    std::os::unix::fs::symlink(probe(), temp.file("arguments-by-another-name")).unwrap();
    let outcome =
        run_with(Role::Pid1, &["arguments-by-another-name", "arguments"], |command| command.env("PATH", temp.path()));
    let name: String = "arguments-by-another-name".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(outcome.stdout.lines().next(), Some(name.as_str()));
}

fn rinit_keeps_nothing_but_stderr() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let extra = fs::File::open(temp.path()).unwrap();
        let mut command = command(&[&probe(), "close-output", &file]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(temp.path());
        // SAFETY: system calls only, in the forked child.
        unsafe {
            command.pre_exec(move || {
                libc::dup2(extra.as_raw_fd(), 9);
                libc::dup2(extra.as_raw_fd(), 700);
                Ok(())
            });
        }
        let mut running = Running::spawn(role, &mut command);
        drop(command);
        wait_until_ready(&file);
        wait_until("rinit to let go", || (open_descriptors(running.pid) == [2]).then_some(()));
        let directory = || fs::read_link(format!("/proc/{}/cwd", running.pid)).ok();
        wait_until("rinit to leave the directory", || (directory()? == std::path::Path::new("/")).then_some(()));
        // The command has closed both, so their other ends see it, while the container lives on.
        read_to_end(&mut running.child.stdout.take().unwrap());
        let mut stdin = running.child.stdin.take().unwrap();
        assert_eq!(stdin.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        assert!(running.is_running());
    }
}

fn closed_standard_descriptors_stay_closed_and_cost_nothing() {
    for role in BOTH_ROLES {
        for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
            let temp = TempDir::new();
            let facts = |name: &str, before: &str| {
                let file = temp.file(name);
                let script = format!("exec {before} {} facts {file} {closed}", probe());
                let code = run_to_end(role, Command::new("/bin/sh").args(["-c", &script])).code;
                assert_eq!(code, 0, "{role:?} {closed}");
                fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned()
            };
            let bare = facts("bare", "");
            assert_eq!(facts("below", &format!("{} -vvv -w", rinit().to_str().unwrap())), bare, "{role:?} {closed}");
        }
    }
}

fn the_pid_for_systemd_names_the_command() {
    for role in BOTH_ROLES {
        let show = "echo $$ $SYSTEMD_EXEC_PID";
        let rinit = rinit();
        let script = format!("SYSTEMD_EXEC_PID=$$ exec {} sh -c '{show}'", rinit.to_str().unwrap());
        let outcome = run_to_end(role, program("/bin/sh").args(["-c", &script]));
        let words: Vec<&str> = outcome.stdout.split_ascii_whitespace().collect();
        assert_eq!(words[0], words[1], "{role:?}");
        // Somebody else's pid stays.
        let script = format!("SYSTEMD_EXEC_PID=4242$$ exec {} sh -c '{show}'", rinit.to_str().unwrap());
        let outcome = run_to_end(role, program("/bin/sh").args(["-c", &script]));
        let words: Vec<&str> = outcome.stdout.split_ascii_whitespace().collect();
        assert!(words[1].starts_with("4242") && words[0] != words[1], "{role:?}: {}", outcome.stdout);
    }
}

fn a_command_is_found_however_long_the_name_of_its_directory_is() {
    let temp = TempDir::new();
    // With the NUL: around rinit's buffer for usual names, and up to the kernel's limit.
    for length in [255, 256, 257, 258, 4_094, 4_095, 4_096] {
        let missing = length - temp.path().to_str().unwrap().len() - "/tool\0".len();
        let directory =
            format!("{}{}{}", temp.path().display(), "/x".repeat(missing / 2 - 1), &"/xx"[..2 + missing % 2]);
        let file = format!("{directory}/tool");
        assert_eq!(file.len() + 1, length);
        std::fs::create_dir_all(&directory).unwrap();
        temp.write(file.strip_prefix(&format!("{}/", temp.path().display())).unwrap(), b"#!/bin/sh\nexit 9\n", 0o755);
        for role in BOTH_ROLES {
            let outcome = run_with(role, &["--", "tool"], |command| command.env("PATH", format!("/bin:{directory}")));
            assert_eq!(outcome.code, 9, "{role:?} {length}: {}", outcome.stderr);
        }
    }
}

fn an_entry_of_path_that_makes_a_name_too_long_is_passed_over() {
    let temp = TempDir::new();
    temp.write("command-of-the-test", b"#!/bin/sh\nexit 9\n", 0o755);
    for role in BOTH_ROLES {
        // Around the kernel's limits for a name and for a path, which counts the NUL at the end: path_resolution(7).
        for (lengths, parts) in
            [(&[255, 4_096, 5_000, 60_000][..], 1), (&[4_000, 4_075, 4_080, 4_095, 4_096, 5_000], 200)]
        {
            for length in lengths.iter().copied() {
                // One name of that length, or many short ones.
                let part = format!("/{}", "x".repeat((length / parts).max(1) - 1));
                let long = part.repeat(length.div_ceil(part.len()));
                let path = format!("{long}:{}:/usr/bin:/bin", temp.path().display());
                let outcome = run_with(role, &["--", "command-of-the-test"], |command| command.env("PATH", &path));
                assert_eq!(outcome.code, 9, "{role:?} {length}: {}", outcome.stderr);
                // Nothing to be found is 127, as for sh.
                let outcome = run_with(role, &["--", "command-of-the-test"], |command| command.env("PATH", &long));
                assert_eq!(outcome.code, 127, "{role:?} {length}: {}", outcome.stderr);
            }
        }
    }
}

fn the_longest_name_of_a_file_is_found_and_a_longer_one_is_said_to_be_too_long() {
    let temp = TempDir::new();
    let longest = "x".repeat(libc::NAME_MAX as usize);
    temp.write(&longest, b"#!/bin/sh\nexit 9\n", 0o755);
    for role in BOTH_ROLES {
        let run = |name: &str| run_with(role, &["--", name], |command| command.env("PATH", temp.path()));
        assert_eq!(run(&longest).code, 9, "{role:?}");
        let outcome = run(&format!("{longest}x"));
        assert_eq!(outcome.code, 126, "{role:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("File name too long"), "{role:?}: {}", outcome.stderr);
    }
}
