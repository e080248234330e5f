//! A stderr that stands still, of whatever kind: rinit neither waits for it nor loses a line uncounted.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use crate::harness::engine::repository_file;
use crate::harness::{
    BOTH_ROLES, Role, Running, TempDir, command, count_recorded, probe, program, queue, recorded_signals, rinit,
    wait_until, wait_until_ready,
};

tests! {
    requires [Namespaces];
    a_long_line_for_a_terminal_with_little_room_stops_nothing requires [Root],
    a_terminal_that_cannot_be_opened_again_and_that_nobody_reads_stops_nothing requires [Root],
    the_other_side_of_a_terminal_takes_messages_and_stops_nothing,
    the_other_side_of_a_terminal_gets_each_line,
    no_kind_of_stderr_costs_an_exit_code,
    a_frozen_file_system_is_documented,
    a_mode_that_only_prints_can_be_interrupted,
    an_interruption_that_the_starter_ignores_is_ignored,
}

/// Signals whose two lines each fill any terminal.
const MANY: usize = 800;

/// A pseudo-terminal that hands on what is written as it is.
fn raw_terminal() -> (File, OwnedFd) {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut modes = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
    nix::sys::termios::cfmakeraw(&mut modes);
    nix::sys::termios::tcsetattr(&pty.slave, nix::sys::termios::SetArg::TCSANOW, &modes).unwrap();
    for side in [pty.master.as_raw_fd(), pty.slave.as_raw_fd()] {
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::fcntl(side, libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
    }
    (File::from(pty.master), pty.slave)
}

/// What can be read now.
fn drain(reader: &mut File) -> String {
    // SAFETY: an open descriptor, whose other side is somebody else's description.
    assert_eq!(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = reader.read(&mut part) {
        all.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Whole lines of rinit's in a text, and how many it says it has dropped.
fn written_and_dropped(text: &str) -> (usize, usize) {
    let (mut written, mut dropped) = (0, 0);
    for line in text.lines().filter(|line| line.starts_with("rinit[")) {
        written += 1;
        if line.contains("dropped") {
            // `rinit[PID]: warning: COUNT messages dropped: …`
            dropped += line.split(' ').nth(2).and_then(|count| count.parse::<usize>().ok()).unwrap();
        }
    }
    (written, dropped)
}

/// Sends many signals while nobody reads, then reads, and counts.
fn check(running: &mut Running, file: &str, reader: &mut File, what: &str) {
    wait_until_ready(file);
    for part in 0..MANY / 100 {
        queue(running.pid, 40, 100);
        wait_until("the signals", || (recorded_signals(file).len() == (part + 1) * 100).then_some(()));
    }
    // Somebody reads again, and the next thing that happens tells what was lost.
    let mut text = drain(reader);
    running.kill(libc::SIGUSR1);
    wait_until("the next signal", || (count_recorded(file, "10 plain") == 1).then_some(()));
    wait_until("the count", || {
        text += &drain(reader);
        (written_and_dropped(&text).1 > 0 && text.contains("SIGUSR1")).then_some(())
    });
    running.kill(libc::SIGTERM);
    assert_eq!(running.exit_code(), 4, "{what}");
    text += &drain(reader);
    let (written, dropped) = written_and_dropped(&text);
    // One line that a signal arrived, one that it was sent on.
    assert!(written + dropped >= 2 * MANY, "{what}: {written} lines written and {dropped} dropped\n{text}");
}

fn a_terminal_that_cannot_be_opened_again_and_that_nobody_reads_stops_nothing() {
    for role in BOTH_ROLES {
        for has_proc in [true, false] {
            let temp = TempDir::new();
            fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).unwrap();
            let (rinit, probe, file) = (temp.copy(rinit(), "rinit"), temp.copy(probe(), "probe"), temp.file("log"));
            let (mut reader, terminal) = raw_terminal();
            // SAFETY: an open descriptor.
            assert_eq!(unsafe { libc::fchmod(terminal.as_raw_fd(), 0o600) }, 0);
            // Another user than the terminal's owner.
            let mut command = program("setpriv");
            command.args(["--reuid=54324", "--regid=54324", "--clear-groups", &rinit, "-vv"]);
            command.args([&probe, "record", &file, "15", "4"]).stderr(terminal);
            if !has_proc {
                // SAFETY: a system call only. Both that of the test's namespace and the one below it go.
                unsafe {
                    command.pre_exec(|| {
                        while libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) == 0 {}
                        Ok(())
                    });
                }
            }
            let mut running = Running::spawn(role, &mut command);
            drop(command);
            check(&mut running, &file, &mut reader, &format!("{role:?}, with /proc: {has_proc}"));
        }
    }
}

/// A terminal that still takes a little, but no long line: poll(2) says that it can be written to.
fn nearly_full_terminal() -> (File, OwnedFd) {
    let (mut reader, terminal) = raw_terminal();
    // As most terminals: what it makes of a line's end takes room, so it counts the room that it has.
    let mut modes = nix::sys::termios::tcgetattr(&terminal).unwrap();
    modes.output_flags |= nix::sys::termios::OutputFlags::OPOST | nix::sys::termios::OutputFlags::ONLCR;
    nix::sys::termios::tcsetattr(&terminal, nix::sys::termios::SetArg::TCSANOW, &modes).unwrap();
    // SAFETY: an open descriptor.
    let set = |flags: libc::c_int| assert_eq!(unsafe { libc::fcntl(terminal.as_raw_fd(), libc::F_SETFL, flags) }, 0);
    let has_room = || {
        let mut wanted = libc::pollfd { fd: terminal.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one structure.
        unsafe { libc::poll(&mut wanted, 1, 0) == 1 }
    };
    set(libc::O_NONBLOCK);
    wait_until("the terminal to be full", || {
        while nix::unistd::write(&terminal, &[b'.'; 64]).is_ok() {}
        (!has_room()).then_some(())
    });
    wait_until("a little room", || {
        reader.read_exact(&mut [0]).unwrap();
        has_room().then_some(())
    });
    set(0);
    (reader, terminal)
}

fn a_long_line_for_a_terminal_with_little_room_stops_nothing() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (rinit, probe, file) = (temp.copy(rinit(), "rinit"), temp.copy(probe(), "probe"), temp.file("log"));
        let (mut reader, terminal) = nearly_full_terminal();
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::fchmod(terminal.as_raw_fd(), 0o600) }, 0);
        let mut command = program("setpriv");
        command.args(["--reuid=54324", "--regid=54324", "--clear-groups", &rinit, "-v"]);
        command.args([&probe, "record", &file, "15", "4", &"x".repeat(3_000)]).stderr(terminal);
        let mut running = Running::spawn(role, &mut command);
        drop(command);
        wait_until_ready(&file);
        running.kill(libc::SIGTERM);
        assert_eq!(running.exit_code(), 4, "{role:?}");
        let _ = drain(&mut reader);
    }
}

fn the_other_side_of_a_terminal_takes_messages_and_stops_nothing() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("log");
        let (master, slave) = raw_terminal();
        let mut running = Running::spawn(role, command(&["-vv", &probe(), "record", &file, "15", "4"]).stderr(master));
        check(&mut running, &file, &mut File::from(slave), &format!("{role:?}"));
    }
}

fn the_other_side_of_a_terminal_gets_each_line() {
    for role in BOTH_ROLES {
        let (master, slave) = raw_terminal();
        // With the last descriptor of this side what was written would be lost.
        let _open = master.try_clone().unwrap();
        let mut running = Running::spawn(role, command(&["-v", "sh", "-c", "exit 3"]).stderr(master));
        assert_eq!(running.exit_code(), 3);
        let text = drain(&mut File::from(slave));
        assert!(text.contains("running") && text.contains("exiting with 3"), "{role:?}: {text}");
    }
}

fn no_kind_of_stderr_costs_an_exit_code() {
    let temp = TempDir::new();
    let fifo = temp.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Open on both sides, so that it takes what it has room for, and nobody reads.
    let open = |options: &mut OpenOptions, path: &str| OwnedFd::from(options.open(path).unwrap());
    // SAFETY: new descriptors, which nobody else owns.
    let made = |descriptor: i32| unsafe {
        assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(descriptor)
    };
    // SAFETY: numbers, and a set that is not looked at after the call.
    let (event, timer, epoll, notify) = unsafe {
        (
            made(libc::eventfd(0, 0)),
            made(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0)),
            made(libc::epoll_create1(0)),
            made(libc::inotify_init1(0)),
        )
    };
    // An event counter takes eight bytes at a time, up to its limit, and a write above that waits.
    nix::unistd::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    let kinds = [
        ("a FIFO", open(OpenOptions::new().read(true).write(true), &fifo)),
        ("a file to be read", open(OpenOptions::new().read(true), "/etc/passwd")),
        ("a directory", open(OpenOptions::new().read(true), "/")),
        ("a path", open(OpenOptions::new().read(true).custom_flags(libc::O_PATH), "/etc/passwd")),
        ("/dev/full", open(OpenOptions::new().write(true), "/dev/full")),
        ("/dev/zero", open(OpenOptions::new().write(true), "/dev/zero")),
        ("an event counter", event),
        ("a timer", timer),
        ("an epoll", epoll),
        ("an inotify", notify),
    ];
    for role in BOTH_ROLES {
        for (name, stderr) in &kinds {
            let script = "(true &); kill -USR1 $PPID; sleep 0.01; exit 3";
            let words = ["-vvv", "-w", "-r", "USR1:0", "sh", "-c", script];
            let mut running = Running::spawn(role, command(&words).stderr(stderr.try_clone().unwrap()));
            assert_eq!(running.exit_code(), 3, "{role:?}: {name}");
        }
    }
}

fn a_frozen_file_system_is_documented() {
    // The kernel offers no write to a file that would not wait for it.
    let texts: String = ["README.md", "SECURITY.md"]
        .map(|name| fs::read_to_string(repository_file(name)).unwrap())
        .into_iter()
        .chain(fs::read_dir(repository_file("docs")).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension()? == "md").then(|| fs::read_to_string(path).unwrap())
        }))
        .collect();
    assert!(texts.contains("frozen") || texts.contains("fsfreeze"), "no page tells of a frozen file system");
}

/// Ways to interrupt a program by hand.
const INTERRUPTIONS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

fn a_mode_that_only_prints_can_be_interrupted() {
    let modes = [&["--zombies"][..], &["--help"], &["-h"], &["--version"], &["--license"]];
    // As PID 1 only a handler ends it.
    for (role, words) in BOTH_ROLES.into_iter().flat_map(|role| modes.map(|words| (role, words))) {
        for signal in INTERRUPTIONS {
            let (_reader, writer) = full_pipe();
            let mut command = command(words);
            let stdout = Stdio::from(writer);
            // SAFETY: a plain structure of the C library's own; system calls only.
            unsafe {
                command.pre_exec(|| {
                    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                    libc::setrlimit(libc::RLIMIT_CORE, &none);
                    Ok(())
                });
            }
            let mut running = Running::spawn(role, command.stdout(stdout).stderr(Stdio::null()));
            wait_until("it to wait for the pipe", || {
                let wait = fs::read_to_string(format!("/proc/{}/wchan", running.pid)).ok()?;
                wait.contains("pipe").then_some(())
            });
            running.kill(signal);
            let status = running.status();
            assert!(
                status.signal() == Some(signal) || status.code() == Some(128 + signal),
                "{role:?}, {words:?}, signal {signal}: {status:?}"
            );
        }
    }
}

fn an_interruption_that_the_starter_ignores_is_ignored() {
    // nohup(1), and a shell for what it starts in the background.
    let (mut reader, writer) = full_pipe();
    let mut command = program(probe());
    command.args(["inherit", "ignore:1,2,3"]).arg(rinit()).arg("--help");
    let mut running = Running::spawn(Role::Subreaper, command.stdout(writer).stderr(Stdio::null()));
    drop(command);
    wait_until("it to wait for the pipe", || {
        let wait = fs::read_to_string(format!("/proc/{}/wchan", running.pid)).ok()?;
        wait.contains("pipe").then_some(())
    });
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        running.kill(signal);
    }
    wait_until("all of the help", || {
        drain(&mut reader);
        (!running.is_running()).then_some(())
    });
    assert_eq!(running.exit_code(), 0);
}

/// A pipe that takes nothing more.
fn full_pipe() -> (File, File) {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let writer = File::from(writer);
    let set = |flags: libc::c_int| {
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) }, 0);
    };
    set(libc::O_NONBLOCK);
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    while (&writer).write(b".").is_ok() {}
    set(0);
    (File::from(reader), writer)
}
