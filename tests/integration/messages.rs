//! Messages are on stderr alone, say what an operator looks for, and never block, kill or change anything.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, children, command, probe, program, queue, recorded_signals, rinit, run,
    run_to_end, run_with, state, wait_until, wait_until_ready, wait_until_recorded,
};

tests! {
    requires [Namespaces];
    a_run_that_goes_well_says_nothing_unless_asked,
    each_line_is_named_and_has_a_level,
    the_start_and_the_end_are_told_with_v,
    signals_and_orphans_are_told_with_vv,
    a_filter_chooses_what_is_told,
    only_off_silences_an_error,
    a_variable_that_has_no_effect_gets_one_warning_if_it_was_meant_to_have_one,
    a_long_word_leaves_room_for_what_is_wrong_with_it,
    w_names_each_orphan_and_how_it_ended,
    a_reader_that_stalls_stops_neither_reaping_nor_forwarding,
    a_message_begins_on_a_line_of_its_own_where_one_was_cut,
    a_stderr_that_takes_nothing_costs_no_exit_code,
    a_stderr_whose_reader_has_gone_kills_neither_rinit_nor_the_command,
    a_file_that_may_not_grow_kills_neither_rinit_nor_the_command,
    a_pipe_whose_last_page_has_room_takes_a_line,
    a_pipe_for_which_the_kernel_always_waits_takes_messages_as_well requires [Program("strace")],
    a_text_on_stdout_waits_for_its_reader_whatever_the_descriptor_says,
    a_socket_and_a_file_take_messages_as_well,
    a_line_that_is_too_long_is_cut_and_says_so,
    one_orphan_is_one_orphan,
    w_tells_of_each_orphan_without_a_proc_of_the_namespace_as_well,
    a_name_from_the_proc_of_another_namespace_is_not_an_orphans_name,
    what_turns_the_direction_of_writing_is_escaped,
    each_v_says_more,
}

fn a_run_that_goes_well_says_nothing_unless_asked() {
    for role in BOTH_ROLES {
        let outcome = run(role, &["sh", "-c", "(true &); exit 3"]);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (3, "", ""));
    }
}

fn each_line_is_named_and_has_a_level() {
    for role in BOTH_ROLES {
        let outcome = run(role, &["-vvv", "-w", "sh", "-c", "(true &); (sh -c 'kill -9 $$' &); kill $PPID; wait"]);
        assert_eq!(outcome.stdout, "");
        let pid = outcome.stderr.split(['[', ']']).nth(1).unwrap();
        for line in outcome.stderr.lines() {
            let rest = line.strip_prefix(&format!("rinit[{pid}]: ")).unwrap_or_else(|| panic!("{line}"));
            let level = rest.split_once(": ").unwrap().0;
            assert!(["error", "warning", "info", "debug", "trace"].contains(&level), "{line}");
        }
        if role == Role::Pid1 {
            assert_eq!(pid, "1");
        }
    }
}

fn the_start_and_the_end_are_told_with_v() {
    for (role, duty) in [(Role::Pid1, "PID 1"), (Role::Subreaper, "a subreaper")] {
        let text = run(role, &["-v", "sh", "-c", "exit 3", "a\nb"]).stderr;
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("running 'sh' '-c' 'exit 3' 'a\\nb' as process "), "{text}");
        assert!(lines[0].ends_with(&format!("rinit is {duty}")), "{text}");
        assert!(lines[1].contains("main child ") && lines[1].ends_with("exited with 3"), "{text}");
        assert!(lines[2].contains("exiting with 3 after 0 orphans and "), "{text}");
        assert_eq!(lines.len(), 3, "{text}");
    }
}

fn signals_and_orphans_are_told_with_vv() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("(sh -c 'exit 4' &); kill -USR1 $PPID; exec {} record {file} 15 0", probe());
        let mut running =
            Running::spawn_captured(role, &mut command(&["-vv", "-r", "USR1:WINCH", "sh", "-c", &script]));
        wait_until_ready(&file);
        wait_until("the orphan", || running.stderr().contains("reaped orphan").then_some(()));
        let own = crate::harness::status_line(running.main_child(), "NSpid").unwrap();
        let own = own.rsplit('\t').next().unwrap().to_owned();
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
        let text = running.stderr();
        assert!(text.contains(&format!("debug: SIGUSR1 arrived from process {own}\n")), "{text}");
        assert!(text.contains(&format!("debug: sent SIGWINCH to process group {own}\n")), "{text}");
        // Sent from outside the PID namespace it has no pid there: pid_namespaces(7).
        assert!(text.contains("debug: SIGTERM arrived from outside the PID namespace\n"), "{text}");
        assert!(text.contains(", which exited with 4\n"), "{text}");
    }
}

fn a_filter_chooses_what_is_told() {
    for (filter, told) in [("info", true), ("rinit=info", true), ("rinit::init=info,warn", true), ("off", false)] {
        let outcome = run_with(Role::Pid1, &["true"], |command| command.env("RINIT_LOG", filter));
        assert_eq!(outcome.stderr.contains("running 'true'"), told, "{filter}: {}", outcome.stderr);
    }
}

fn only_off_silences_an_error() {
    for (filter, told) in [
        ("rinit::init::reap=trace", true),
        ("rinit::init::reap", true),
        ("rinit::init::reap=trace,error", true),
        ("rinit::init::reap=trace,off", false),
        ("off", false),
    ] {
        let outcome = run_with(Role::Pid1, &["/no/such/program"], |command| command.env("RINIT_LOG", filter));
        assert_eq!(outcome.stderr.contains("error: cannot run"), told, "{filter}: {}", outcome.stderr);
        assert_eq!(outcome.code, 127);
    }
}

fn a_long_word_leaves_room_for_what_is_wrong_with_it() {
    let nines = "9".repeat(5000);
    let longest = format!("/{}", "x".repeat(4090));
    for (words, reason) in [
        (&["--grace", &nines, "true"][..], "] is not accepted; durations are like"),
        (&["--install", &longest], "]': File name too long"),
        (&[&longest], "]': File name too long"),
        (&[&format!("--{nines}"), "true"], "write the command's own options after the command"),
        (&["--pause", &nines], "leave one of them out"),
    ] {
        let outcome = run(Role::Pid1, words);
        let reason = reason.replace("] is", "]' is");
        assert!(outcome.stderr.contains(&reason) && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
    }
}

fn a_variable_that_has_no_effect_gets_one_warning_if_it_was_meant_to_have_one() {
    for (name, variable, options, warning) in [
        ("rinit", "TINI_KILL_PROCESS_GROUP=0", &[][..], "ignoring TINI_KILL_PROCESS_GROUP, which is for tini; use"),
        ("rinit", "TINI_VERBOSITY=3", &[], "ignoring TINI_VERBOSITY, which is for tini; use --verbose"),
        ("rinit", "DUMB_INIT_SETSID=0", &[], "ignoring DUMB_INIT_SETSID, which is for dumb-init; use --single-child"),
        ("rinit", "CATATONIT_DEBUG=1", &[], "ignoring CATATONIT_DEBUG, which is for catatonit; use --verbose"),
        ("tini", "DUMB_INIT_DEBUG=1", &[], "ignoring DUMB_INIT_DEBUG, which is for dumb-init; use --verbose"),
        // What changes nothing, or has been asked for.
        ("rinit", "TINI_VERBOSITY=1", &[], ""),
        ("rinit", "TINI_SUBREAPER=1", &[], ""),
        ("rinit", "DUMB_INIT_SETSID=1", &[], ""),
        ("rinit", "DUMB_INIT_SETSID=0", &["-c"], ""),
        ("tini", "DUMB_INIT_SETSID=0", &[], ""),
        ("rinit", "RINIT_GRCE=5", &[], "ignoring the unknown variable RINIT_GRCE; did you mean RINIT_GRACE?"),
        ("rinit", "RINIT_LGO=5", &[], "ignoring the unknown variable RINIT_LGO; did you mean RINIT_LOG?"),
        // Of a service that is named rinit: Kubernetes sets them.
        ("rinit", "RINIT_SERVICE_HOST=10.0.0.1", &[], ""),
        ("rinit", "RINIT_PORT=tcp://10.0.0.1:80", &[], ""),
        ("rinit", "XRINIT_GRACE=5", &[], ""),
    ] {
        let temp = TempDir::new();
        let (key, value) = variable.split_once('=').unwrap();
        let mut command = program(temp.copy(rinit(), name));
        let outcome = run_to_end(Role::Pid1, command.args(options).arg("true").env(key, value));
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        let is_right =
            if warning.is_empty() { lines.is_empty() } else { lines.len() == 1 && lines[0].contains(warning) };
        assert!(is_right && outcome.code == 0, "{name} {variable}: {}", outcome.stderr);
    }
}

fn w_names_each_orphan_and_how_it_ended() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        for name in ["leftover", "odd\n\x1b[31m) name"] {
            std::os::unix::fs::symlink("/bin/sh", temp.file(name)).unwrap();
        }
        let script = format!(
            "cd {}; (./leftover -c 'exit 5' &); ('./odd\n\x1b[31m) name' -c 'kill -9 $$' &); exec {} record {file} 15 0",
            temp.path().display(),
            probe()
        );
        let mut running = Running::spawn_captured(role, &mut command(&["-w", "sh", "-c", &script]));
        wait_until_ready(&file);
        wait_until("both", || (running.stderr().lines().count() == 2).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 0);
        let text = running.stderr();
        assert!(text.contains(" (leftover), which exited with 5\n"), "{text}");
        // As the kernel cut it, and with nothing in it that a terminal would act on.
        assert!(text.contains(r" (odd\n\u{1b}[31m) name), which was killed by SIGKILL"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}

fn a_reader_that_stalls_stops_neither_reaping_nor_forwarding() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let (file, done) = (temp.file("log"), temp.file("done"));
        let (mut reader, mut writer) = full_pipe();
        let flags = || {
            // SAFETY: F_GETFL only looks.
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETFL) }
        };
        let before = flags();
        let script = format!("{0} orphans 300; : > {done}; exec {0} record {file}", probe());
        let stderr = Stdio::from(writer.try_clone().unwrap());
        let running = Running::spawn(role, command(&["-vvv", "-w", "sh", "-c", &script]).stderr(stderr));
        wait_until_ready(&file);
        let main_child = running.main_child();
        wait_until("300 orphans to be reaped", || (children(running.pid) == [main_child]).then_some(()));
        running.kill(libc::SIGUSR1);
        wait_until_recorded(&file, &["10 plain"]);
        assert_eq!(flags(), before, "the flags are shared with the command");

        // The reader comes back: what was lost is told, with the next thing that happens.
        let text = drain(&mut reader);
        assert!(!text.contains("rinit["), "nothing got through a full pipe");
        running.kill(libc::SIGUSR2);
        wait_until_recorded(&file, &["10 plain", "12 plain"]);
        let mut text = String::new();
        wait_until("the count of what was lost", || {
            text += &drain(&mut reader);
            text.contains("sent SIGUSR2").then_some(())
        });
        let line = text.lines().find(|line| line.contains("messages dropped")).unwrap_or_else(|| panic!("{text}"));
        let count: u32 = line.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(count >= 300, "a line an orphan, and more: {line}");
        writer.write_all(b"as ever\n").unwrap();
    }
}

fn a_message_begins_on_a_line_of_its_own_where_one_was_cut() {
    // A terminal takes what there is room for.
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut reader = File::from(pty.master);
    nonblocking(&reader, true);
    let temp = TempDir::new();
    let file = temp.file("log");
    let running = Running::spawn(Role::Pid1, command(&["-vv", &probe(), "record", &file]).stderr(pty.slave));
    wait_until_ready(&file);
    let mut count = 0;
    let mut pass_on = |more: usize| {
        queue(running.pid, 40, more);
        count += more;
        wait_until("all to be passed on", || (recorded_signals(&file).len() == count).then_some(()));
    };
    pass_on(1000);
    let mut text = String::new();
    wait_until("what was dropped to be told", || {
        text += &drain(&mut reader);
        pass_on(1);
        text.contains("messages dropped").then_some(())
    });
    let is_right = |line: &&str| match line.strip_prefix("rinit[") {
        Some(rest) => !rest.contains("rinit["),
        None => "rinit[".starts_with(line),
    };
    assert_eq!(text.lines().find(|line| !is_right(line)), None);
}

/// A pipe that takes nothing more.
fn full_pipe() -> (File, File) {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let (reader, mut writer) = (File::from(reader), File::from(writer));
    nonblocking(&writer, true);
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    nonblocking(&writer, false);
    nonblocking(&reader, true);
    (reader, writer)
}

fn nonblocking(file: &File, set: bool) {
    // SAFETY: numbers only.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, if set { libc::O_NONBLOCK } else { 0 }) };
    assert_eq!(result, 0);
}

/// What a pipe holds now.
fn drain(reader: &mut File) -> String {
    let mut all = Vec::new();
    let _ = reader.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

fn a_stderr_that_takes_nothing_costs_no_exit_code() {
    for role in BOTH_ROLES {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let script = "(true &); kill -USR1 $PPID; sleep 0.01; exit 3";
        let words = ["-vvv", "-w", "-r", "USR1:0", "sh", "-c", script];
        let mut running = Running::spawn(role, command(&words).stderr(full));
        assert_eq!(running.exit_code(), 3);

        let line = format!("exec {} -vvv -w -r USR1:0 sh -c '{script}' 2>&-", rinit().to_str().unwrap());
        assert_eq!(Running::spawn(role, program("/bin/sh").args(["-c", &line])).exit_code(), 3);
    }
}

fn a_stderr_whose_reader_has_gone_kills_neither_rinit_nor_the_command() {
    for role in BOTH_ROLES {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        drop((reader, here));
        for stderr in [writer, there.into()] {
            let temp = TempDir::new();
            let file = temp.file("log");
            let words = ["-vvv", "-w", &probe(), "record", &file, "15", "3"];
            let mut running = Running::spawn(role, command(&words).stderr(Stdio::from(stderr)));
            wait_until_ready(&file);
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
            // A SIGPIPE that waits while rinit has one of its own is passed on.
            running.kill(libc::SIGSTOP);
            wait_until("rinit to be stopped", || (state(running.pid) == Some('T')).then_some(()));
            for signal in [libc::SIGUSR2, libc::SIGPIPE, libc::SIGCONT] {
                running.kill(signal);
            }
            wait_until_recorded(&file, &["10 plain", "12 plain", "13 plain", "18 plain"]);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 3);
            // Its own SIGPIPEs are not the command's.
            wait_until_recorded(&file, &["10 plain", "12 plain", "13 plain", "18 plain", "15 plain"]);
        }
    }
}

fn a_file_that_may_not_grow_kills_neither_rinit_nor_the_command() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        // SIGXFSZ comes with the error: setrlimit(2).
        let stderr = temp.write("stderr", &[b'.'; 1024], 0o644);
        let line = format!(
            "ulimit -S -f 1; exec {} -vvv -w -- sh -c 'ulimit -f unlimited; exec {} record {file} 15 3' 2>>{stderr}",
            rinit().to_str().unwrap(),
            probe()
        );
        let mut running = Running::spawn(role, program("/bin/bash").args(["-c", &line]));
        wait_until_ready(&file);
        running.kill(libc::SIGUSR1);
        wait_until_recorded(&file, &["10 plain"]);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 3);
        wait_until_recorded(&file, &["10 plain", "15 plain"]);
    }
}

fn a_pipe_whose_last_page_has_room_takes_a_line() {
    // poll(2) calls such a pipe full.
    for role in BOTH_ROLES {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        // SAFETY: numbers only. The smallest pipe has one page.
        let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1) };
        let (mut reader, mut writer) = (File::from(reader), File::from(writer));
        nonblocking(&reader, true);
        writer.write_all(&vec![b'.'; usize::try_from(size).unwrap() - 1000]).unwrap();
        let mut running = Running::spawn(role, command(&["-v", "sh", "-c", "exit 3"]).stderr(writer));
        assert_eq!(running.exit_code(), 3);
        let text = drain(&mut reader);
        assert!(text.contains("exiting with 3 after"), "{role:?}: {text}");
    }
}

fn a_pipe_for_which_the_kernel_always_waits_takes_messages_as_well() {
    // rinit opens the pipe again, or asks whether there is room.
    for more in [&[][..], &["-e", "inject=?open,openat:error=EACCES"]] {
        let run = |stderr: File| {
            let mut strace = program("strace");
            strace.args(["-o", "/dev/null", "-e", "trace=pwritev2,?open,openat"]);
            strace.args(["-e", "inject=pwritev2:error=EOPNOTSUPP"]).args(more).arg(rinit());
            let mut running = Running::spawn(Role::Subreaper, strace.args(["-v", "sh", "-c", "exit 3"]).stderr(stderr));
            assert_eq!(running.exit_code(), 3, "{more:?}");
        };
        let (reader, writer) = nix::unistd::pipe().unwrap();
        run(File::from(writer));
        let text = drain(&mut File::from(reader));
        assert_eq!(text.lines().filter(|line| line.starts_with("rinit[")).count(), 3, "{more:?}: {text}");
        assert!(text.contains("running 'sh'") && text.contains("exiting with 3 after"), "{more:?}: {text}");

        let (mut reader, writer) = full_pipe();
        run(writer);
        assert!(!drain(&mut reader).contains("rinit["), "{more:?}: nothing got through a full pipe");
    }
}

fn a_text_on_stdout_waits_for_its_reader_whatever_the_descriptor_says() {
    let (mut reader, writer) = full_pipe();
    nonblocking(&writer, true);
    let mut running = Running::spawn(Role::Subreaper, command(&["--license"]).stdout(writer));
    wait_until("rinit to wait for its reader", || (state(running.pid) == Some('S')).then_some(()));
    let mut text = String::new();
    wait_until("the text", || {
        text += &drain(&mut reader);
        text.ends_with("\n").then_some(())
    });
    assert_eq!(running.exit_code(), 0);
    assert!(text.contains("MIT") || text.contains("Permission"), "{text}");
}

fn a_socket_and_a_file_take_messages_as_well() {
    let temp = TempDir::new();
    let file = temp.file("stderr");
    let mut running = Running::spawn(Role::Pid1, command(&["-v", "true"]).stderr(File::create(&file).unwrap()));
    assert_eq!(running.exit_code(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);

    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let there = std::os::fd::OwnedFd::from(there);
    let mut command = command(&["-v", "true"]);
    let mut running = Running::spawn(Role::Pid1, command.stderr(there));
    drop(command);
    assert_eq!(running.exit_code(), 0);
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
}

fn w_tells_of_each_orphan_without_a_proc_of_the_namespace_as_well() {
    let temp = TempDir::new();
    let file = temp.file("log");
    let script = format!("{0} orphans 1; exec {0} record {file} 15 3", probe());
    let mut unshare = program("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(rinit()).args(["-w", "sh", "-c", &script]);
    let running = Running::spawn_captured(Role::Subreaper, &mut unshare);
    wait_until("the orphan", || {
        let is_told = |line: &str| line.contains("warning: reaped orphan ") && line.ends_with(", which exited with 0");
        running.stderr().lines().any(is_told).then_some(())
    });
}

/// Each pid of an orphan is there too, below a process that has rinit's pid.
fn a_name_from_the_proc_of_another_namespace_is_not_an_orphans_name() {
    let temp = TempDir::new();
    let line = |pid: u32, parent: u32| {
        format!("{pid} (impostor) Z {parent} 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 100 99 1\n").into_bytes()
    };
    let folder = |name: &str, content: &[u8]| {
        fs::create_dir_all(temp.file(&format!("proc/{name}"))).unwrap();
        fs::write(temp.file(&format!("proc/{name}/stat")), content).unwrap();
    };
    folder("self", &line(999, 1));
    (2..40).for_each(|pid| folder(&pid.to_string(), &line(pid, 1)));
    let script = format!("mount --bind {} /proc && exec \"$@\"", temp.file("proc"));
    let mut unshare = program("unshare");
    unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(rinit()).args([
        "-w",
        "sh",
        "-c",
        "(sh -c 'exit 4' &); exec sleep 1000",
    ]);
    let running = Running::spawn_captured(Role::Pid1, &mut unshare);
    wait_until("the orphan", || running.stderr().contains("which exited with 4").then_some(()));
    assert!(!running.stderr().contains("impostor"), "{}", running.stderr());
}

fn a_line_that_is_too_long_is_cut_and_says_so() {
    for role in BOTH_ROLES {
        let long = "x".repeat(500);
        let words = [&["-v", "sh", "-c", "exit 3"][..], &[&*long; 20]].concat();
        let text = run(role, &words).stderr;
        let line = text.lines().next().unwrap();
        // PIPE_BUF, with the newline.
        assert!(line.len() == 4_095 && line.ends_with("x [cut]"), "{role:?}: {} bytes", line.len());
        assert_eq!(text.lines().count(), 3, "{role:?}: {text}");
    }
}

fn one_orphan_is_one_orphan() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let script = format!("{0} orphans 1; exec {0} record {file} 15 3", probe());
        let mut running = Running::spawn_captured(role, &mut command(&["-v", "sh", "-c", &script]));
        wait_until_ready(&file);
        let main_child = running.main_child();
        wait_until("the orphan to be reaped", || (children(running.pid) == [main_child]).then_some(()));
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 3);
        let text = running.stderr();
        assert!(text.contains("1 orphan") && !text.contains("1 orphans"), "{text}");
    }
}

fn what_turns_the_direction_of_writing_is_escaped() {
    // Unicode's Bidi_Control characters, and its two separators of lines: UAX 9, UAX 14.
    let odd: Vec<char> = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}']
        .into_iter()
        .chain('\u{202a}'..='\u{202e}')
        .chain('\u{2066}'..='\u{2069}')
        .collect();
    for character in odd {
        let argument = format!("a{character}b");
        let text = run(Role::Pid1, &["-v", "sh", "-c", "exit 3", &argument]).stderr;
        assert!(!text.contains(character), "{}: {text}", character.escape_unicode());
        assert!(text.contains(&format!("{:x}", character as u32)), "{}: {text}", character.escape_unicode());
        let text = run(Role::Pid1, &[&argument]).stderr;
        assert!(!text.contains(character), "{}: {text}", character.escape_unicode());
    }
}

fn each_v_says_more() {
    for role in BOTH_ROLES {
        let lines = |option: &str| {
            let temp = TempDir::new();
            let file = temp.file("log");
            let script = format!("{0} orphans 1; exec {0} record {file} 15 3", probe());
            let mut running = Running::spawn_captured(role, &mut command(&[option, "sh", "-c", &script]));
            wait_until_ready(&file);
            let main_child = running.main_child();
            wait_until("the orphan to be reaped", || (children(running.pid) == [main_child]).then_some(()));
            running.kill(libc::SIGUSR1);
            wait_until_recorded(&file, &["10 plain"]);
            running.kill(libc::SIGTERM);
            assert_eq!(running.exit_code(), 3);
            running.stderr().lines().count()
        };
        let [warning, info, debug, trace] = ["--", "-v", "-vv", "-vvv"].map(lines);
        assert!(warning < info && info < debug && debug < trace, "{role:?}: {warning} {info} {debug} {trace} lines");
    }
}
