//! Bad input is refused before anything is started: 125, and one line that names the source, the value and what is
//! accepted.

use std::fs;

use crate::harness::{BOTH_ROLES, Role, Running, TempDir, command, probe, rinit, run, run_with, wait_until_ready};

tests! {
    requires [Namespaces];
    a_wrong_command_line_starts_nothing,
    a_wrong_variable_starts_nothing_even_where_the_command_line_wins,
    no_command_at_all_is_a_usage_error,
    what_is_accepted_is_accepted,
    every_option_has_its_variable_and_the_command_line_wins,
    help_version_and_license_are_on_stdout,
    a_stdout_that_takes_nothing_is_an_error,
    the_name_it_is_called_by_does_not_matter,
}

/// Words before the command, and what the message has to name.
const WRONG_LINES: &[(&[&str], &[&str])] = &[
    (&["--no-such-option"], &["--no-such-option"]),
    (&["-x"], &["-x"]),
    (&["-cx"], &["-x"]),
    (&["--grace"], &["--grace"]),
    (&["--single-child=yes"], &["--single-child", "yes"]),
    (&["-r", "TERM"], &["--rewrite", "TERM", "colon"]),
    (&["-r", "TERM:INT:HUP"], &["--rewrite", "TERM:INT:HUP", "more than one colon"]),
    (&["-r", "TERM:NOPE"], &["--rewrite", "TERM:NOPE"]),
    (&["-r", "NOPE:TERM"], &["--rewrite", "NOPE:TERM"]),
    (&["-r", "KILL:TERM"], &["--rewrite", "KILL:TERM", "never forwarded"]),
    (&["-r", "STOP:TERM"], &["--rewrite", "STOP:TERM"]),
    (&["-r", "0:TERM"], &["--rewrite", "0:TERM"]),
    (&["-r", "65:TERM"], &["--rewrite", "65:TERM"]),
    (&["-r", "TERM:65"], &["--rewrite", "TERM:65"]),
    (&["-r", "TERM:INT,"], &["--rewrite"]),
    (&["-r", ""], &["--rewrite"]),
    (&["-e", "256"], &["--remap-exit", "256", "0 to 255"]),
    (&["-e", "-1"], &["--remap-exit", "-1"]),
    (&["-e", "1,x"], &["--remap-exit", "x"]),
    (&["-e", ""], &["--remap-exit"]),
    (&["-e", "1.5"], &["--remap-exit", "1.5"]),
    (&["-p", "0"], &["--parent-death-signal", "0"]),
    (&["-p", "NOPE"], &["--parent-death-signal", "NOPE"]),
    (&["-p", "RTMAX+1"], &["--parent-death-signal", "RTMAX+1"]),
    (&["--grace", "-1"], &["--grace", "-1"]),
    (&["--grace", "inf"], &["--grace", "inf"]),
    (&["--grace", "NaN"], &["--grace", "NaN"]),
    (&["--grace", "1e400"], &["--grace", "1e400"]),
    (&["--grace", "99999999999999999999d"], &["--grace", "99999999999999999999d"]),
    (&["--grace", "10x"], &["--grace", "10x"]),
    (&["--grace", "s"], &["--grace", "s"]),
    (&["--grace", ""], &["--grace"]),
    (&["--grace", "1 s"], &["--grace", "1 s"]),
    (&["-c", "-a"], &["-c", "-a"]),
    (&["--pause"], &["--pause", "touch"]),
    (&["--zombies"], &["--zombies", "touch"]),
    (&["--install", "there"], &["--install", "touch"]),
    (&["--pause", "--zombies"], &["--pause", "--zombies"]),
];

/// Variables, and what else the message has to name.
const WRONG_VARIABLES: &[(&str, &str, &str)] = &[
    ("RINIT_SINGLE_CHILD", "maybe", "true"),
    ("RINIT_ALL", "2", "true"),
    ("RINIT_WARN_ON_REAP", " 1", "true"),
    ("RINIT_REWRITE", "TERM", "colon"),
    ("RINIT_REWRITE", "TERM:INT,KILL:1", "never forwarded"),
    ("RINIT_REMAP_EXIT", "1,256", "255"),
    ("RINIT_PARENT_DEATH_SIGNAL", "0", "signal"),
    ("RINIT_GRACE", "soon", "10s"),
    ("RINIT_LOG", "rinit=loud", "loud"),
    ("RINIT_LOG", "a=b=c", "a=b=c"),
];

fn a_wrong_command_line_starts_nothing() {
    let temp = TempDir::new();
    let file = temp.file("started");
    for (line, named) in WRONG_LINES {
        let words: Vec<&str> = line.iter().copied().chain(["touch", &file]).collect();
        // An option that lacks its value would take the command for it.
        let words = if *line == ["--grace"] { &words[..1] } else { &words[..] };
        let outcome = run(Role::Pid1, words);
        assert_eq!(outcome.code, 125, "{line:?}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("rinit[1]: error: "), "{line:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{line:?}: {}", outcome.stderr);
        for name in *named {
            assert!(outcome.stderr.contains(name), "{line:?} should name {name:?}: {}", outcome.stderr);
        }
        assert!(outcome.stdout.is_empty());
    }
    assert!(!fs::exists(&file).unwrap(), "something was started");
}

fn a_wrong_variable_starts_nothing_even_where_the_command_line_wins() {
    let temp = TempDir::new();
    let file = temp.file("started");
    for (name, value, accepted) in WRONG_VARIABLES {
        for option in [&[][..], &["-c", "-r", "1:2", "-e", "1", "-p", "1", "--grace", "1", "-v"]] {
            let words: Vec<&str> = option.iter().copied().chain(["touch", &file]).collect();
            let outcome = run_with(Role::Subreaper, &words, |command| command.env(name, value));
            assert_eq!(outcome.code, 125, "{name}={value}: {}", outcome.stderr);
            assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
            for part in [*name, value.rsplit(',').next().unwrap(), accepted] {
                assert!(outcome.stderr.contains(part), "{name}={value} should name {part:?}: {}", outcome.stderr);
            }
        }
    }
    assert!(!fs::exists(&file).unwrap(), "something was started");
}

fn no_command_at_all_is_a_usage_error() {
    for words in [&[][..], &["--"], &["-v"], &["-c", "--"]] {
        let outcome = run(Role::Pid1, words);
        assert_eq!(outcome.code, 125);
        assert!(outcome.stderr.contains("usage: rinit [OPTIONS] [--] COMMAND"), "{}", outcome.stderr);
    }
}

fn what_is_accepted_is_accepted() {
    for line in [
        &["-r", "sigterm:SigInt", "--rewrite=15:2,hup:NONE", "-r1:0"][..],
        &["-e", "0", "-e255", "--remap-exit=1,2"],
        &["--grace", "0.5", "--grace=10s"],
        &["--grace", "2m"],
        &["--grace", "1h"],
        &["--grace", "1d"],
        &["-p", "sigcont"],
        &["-p18"],
        &["-csgwvvv"],
        &["-a", "-a"],
        &["-vc", "--"],
    ] {
        let words: Vec<&str> = line.iter().copied().chain(["sh", "-c", "exit 9"]).collect();
        let outcome = run(Role::Pid1, &words);
        assert_eq!(outcome.code, 9, "{line:?}: {}", outcome.stderr);
    }
}

fn every_option_has_its_variable_and_the_command_line_wins() {
    let code = |variables: &[(&str, &str)], words: &[&str]| {
        let outcome = run_with(Role::Pid1, words, |command| command.envs(variables.iter().copied()));
        (outcome.code, outcome.stderr)
    };
    assert_eq!(code(&[("RINIT_REMAP_EXIT", "3,4")], &["sh", "-c", "exit 4"]).0, 0);
    assert_eq!(code(&[("RINIT_REMAP_EXIT", "3,4")], &["-e", "5", "sh", "-c", "exit 4"]).0, 4);
    assert!(code(&[("RINIT_WARN_ON_REAP", "on")], &["sh", "-c", "(true &); until false; do wait; break; done"]).0 == 0);
    assert!(code(&[("RINIT_LOG", "info")], &["true"]).1.contains("exiting with 0"));
    assert!(code(&[("RINIT_LOG", "off")], &["/no/such/file"]).1.is_empty());
    assert!(code(&[("RINIT_LOG", "warn")], &["-v", "true"]).1.contains("exiting with 0"));
    for (value, variable) in [("", "RINIT_ALL"), ("false", "RINIT_ALL"), ("", "RINIT_GRACE"), ("", "RINIT_REWRITE")] {
        assert_eq!(code(&[(variable, value)], &["sh", "-c", "exit 9"]).0, 9, "{variable}={value:?} is an unset one");
    }
    // How the others act, as variables too.
    for role in BOTH_ROLES {
        for (variable, value, signal, expected) in [
            ("RINIT_REWRITE", "TERM:INT", libc::SIGTERM, "2 plain"),
            ("RINIT_SINGLE_CHILD", "TRUE", libc::SIGUSR1, "10 plain"),
            ("RINIT_ALL", "Yes", libc::SIGUSR1, "10 plain"),
        ] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = format!("{0} record-detached {file}; exec {0} record {file}.main", probe());
            let running = Running::start(role, &["sh", "-c", &script], |command| command.env(variable, value));
            wait_until_ready(&file);
            wait_until_ready(&format!("{file}.main"));
            running.kill(signal);
            crate::harness::wait_until_recorded(&format!("{file}.main"), &[expected]);
            if variable == "RINIT_ALL" {
                crate::harness::wait_until_recorded(&file, &[expected]);
            }
        }
    }
}

fn help_version_and_license_are_on_stdout() {
    let printed = |words: &[&str]| {
        let outcome = run(Role::Subreaper, words);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{words:?}");
        outcome.stdout
    };
    for words in [&["-V"][..], &["--version"], &["-vV"]] {
        // What dockerd reads: moby, parseInitVersion.
        let version = printed(words);
        let (name, commit) = version.trim_end().split_once(" - git.").unwrap();
        assert_eq!(name, format!("rinit {}", env!("CARGO_PKG_VERSION")));
        assert!((7..=40).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");
    }
    let (short, long) = (printed(&["-h"]), printed(&["--help"]));
    assert!(short.contains("Usage: rinit [OPTIONS] [--] COMMAND [ARGS]..."), "{short}");
    assert!(short.len() < long.len() && !short.contains("--subreaper") && long.contains("--subreaper"));
    for words in [&["-l"][..], &["-L"], &["--license"]] {
        assert!(printed(words).starts_with("MIT License"));
    }
}

fn a_stdout_that_takes_nothing_is_an_error() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut running = Running::spawn(Role::Subreaper, command(&["--version"]).stdout(full()).stderr(full()));
    assert_eq!(running.exit_code(), 125);
}

fn the_name_it_is_called_by_does_not_matter() {
    let temp = TempDir::new();
    std::os::unix::fs::symlink(rinit(), temp.file("docker-init")).unwrap();
    let mut command = crate::harness::program(temp.file("docker-init"));
    assert!(crate::harness::run_to_end(Role::Subreaper, command.arg("--version")).stdout.starts_with("rinit "));
}
