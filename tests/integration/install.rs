//! `--install`: the binary gets into a container that knows nothing of it, whole or not at all.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use crate::harness::trace::{HeldProcess, limit};
use crate::harness::{
    BOTH_ROLES, Outcome, Role, Running, TempDir, command, probe, program, rinit, run, run_to_end, wait_until,
};

tests! {
    requires [Namespaces];
    it_installs_to_a_file_and_into_a_directory,
    a_name_is_relative_to_the_working_directory,
    the_umask_takes_nothing_from_its_mode,
    it_replaces_an_older_one_even_where_that_runs_or_is_a_link,
    whoever_starts_it_meanwhile_gets_a_whole_one,
    nothing_stays_if_a_signal_ends_it requires [Program("strace")],
    nothing_stays_if_a_file_may_not_grow_so_far,
    on_a_full_disk_nothing_stays_and_the_older_one_is_kept,
    an_error_names_the_path_and_the_reason,
    it_works_from_an_empty_root_without_proc_as_any_user requires [Root],
    what_is_no_regular_file_is_refused_and_stays,
    a_device_is_refused_and_stays requires [Root],
    a_link_to_a_regular_file_is_replaced,
    a_link_to_a_directory_stays_and_the_directory_gets_it,
}

/// Runs a script in a PID and mount namespace of its own; `$RINIT` there is the binary.
fn script(text: &str) -> Outcome {
    run_to_end(Role::Pid1, program("/bin/sh").args(["-c", text]).env("RINIT", rinit()))
}

/// Whether this file is the binary under test: every byte of it, for everybody to run, and nothing else beside it.
fn assert_installed(file: &str) {
    let path = Path::new(file);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o755, "{file}");
    assert!(fs::read(path).unwrap() == fs::read(rinit()).unwrap(), "{file} is another program");
    assert_eq!(hidden_files(path.parent().unwrap()), [""; 0], "a temporary file stayed");
}

fn hidden_files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

fn it_installs_to_a_file_and_into_a_directory() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let file = temp.file("init");
        let directory = temp.file("bin");
        fs::create_dir(&directory).unwrap();
        for (path, result) in [
            (&file, &file),
            (&directory, &format!("{directory}/rinit")),
            (&format!("{directory}/"), &format!("{directory}/rinit")),
        ] {
            let outcome = run(role, &["--install", path]);
            assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (0, String::new()));
            assert_installed(result);
        }
        let outcome = run(role, &[file.as_str(), "--version"]);
        assert_eq!(outcome.code, 0);
        assert!(outcome.stdout.starts_with("rinit "), "{}", outcome.stdout);
    }
}

fn a_name_is_relative_to_the_working_directory() {
    let temp = TempDir::new();
    for (path, result) in [("init", "init"), (".", "rinit"), ("./a name\nwith a newline", "a name\nwith a newline")] {
        let mut command = command(&["--install", path]);
        assert_eq!(run_to_end(Role::Subreaper, command.current_dir(temp.path())).code, 0);
        assert_installed(&temp.file(result));
    }
}

fn the_umask_takes_nothing_from_its_mode() {
    for umask in ["000", "077", "777"] {
        let temp = TempDir::new();
        let outcome = script(&format!("umask {umask}; exec \"$RINIT\" --install '{}'", temp.file("init")));
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_installed(&temp.file("init"));
    }
}

fn it_replaces_an_older_one_even_where_that_runs_or_is_a_link() {
    let temp = TempDir::new();
    let other = temp.write("other", b"not to be touched", 0o644);
    let old = temp.write("old", b"old", 0o600);
    let link = temp.file("link");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    for path in [&old, &link] {
        assert_eq!(run(Role::Subreaper, &["--install", path]).code, 0);
        assert_installed(path);
    }
    assert_eq!(fs::read(&other).unwrap(), b"not to be touched");

    // Writing to a program that runs is ETXTBSY: execve(2).
    let mut busy = program(&old);
    let mut running = Running::spawn(Role::Pid1, busy.args([probe().as_str(), "hold"]));
    running.main_child();
    assert_eq!(run(Role::Subreaper, &["--install", &old]).code, 0);
    assert_installed(&old);
    let runs = fs::read_link(format!("/proc/{}/exe", running.pid)).unwrap();
    assert_eq!(runs.to_str().unwrap(), format!("{old} (deleted)"));
    assert!(running.is_running());
}

fn whoever_starts_it_meanwhile_gets_a_whole_one() {
    // As pods do with a volume that they share: each is PID 1 of its own namespace.
    let temp = TempDir::new();
    let file = temp.file("init");
    assert_eq!(run(Role::Pid1, &["--install", &file]).code, 0);
    for _ in 0..10 {
        let mut installing: Vec<_> =
            (0..6).map(|_| Running::spawn(Role::Pid1, command(&["--install", &file]).stdout(Stdio::null()))).collect();
        while installing.iter_mut().any(Running::is_running) {
            let mut other = program(&file);
            assert_eq!(run_to_end(Role::Pid1, other.args(["--", &probe(), "exit", "7"])).code, 7);
        }
        for one in &mut installing {
            assert_eq!(one.exit_code(), 0);
        }
    }
    assert_installed(&file);
}

fn nothing_stays_if_a_signal_ends_it() {
    for role in BOTH_ROLES {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            let temp = TempDir::new();
            let held = HeldProcess::new(role, &["--install", &temp.file("init")], |command| command);
            // It is held once all is written, before the file has its name.
            let mut traced = held.traced(&["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=1000000"]);
            wait_until("the temporary file", || (!hidden_files(temp.path()).is_empty()).then_some(()));
            traced.running.kill(signal);
            assert_eq!(traced.running.exit_code(), 128 + signal, "{role:?}");
            assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "{role:?} {signal}");
        }
    }
}

fn nothing_stays_if_a_file_may_not_grow_so_far() {
    for role in BOTH_ROLES {
        let temp = TempDir::new();
        let mut start = command(&["--install", &temp.file("init")]);
        let outcome = run_to_end(role, limit(&mut start, libc::RLIMIT_FSIZE, 10_000));
        assert!(outcome.code == 125 && outcome.stderr.ends_with(": File too large\n"), "{role:?} {}", outcome.stderr);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "{role:?}");
    }
}

fn on_a_full_disk_nothing_stays_and_the_older_one_is_kept() {
    let temp = TempDir::new();
    let disk = temp.path().to_str().unwrap();
    let outcome = script(&format!(
        "mount -t tmpfs -o size=64k tmpfs '{disk}' && cd '{disk}' && echo old > init || exit 1
        for path in init new .; do $RINIT --install \"$PWD/$path\"; echo \"code $?\"; done
        echo \"left:\" $(ls -A) \"with\" $(cat init)"
    ));
    assert_eq!(outcome.stdout, "code 125\ncode 125\ncode 125\nleft: init with old\n", "{}", outcome.stderr);
    for (line, name) in outcome.stderr.lines().zip(["init", "new", "./rinit"]) {
        assert!(line.ends_with(&format!("cannot install to '{disk}/{name}': No space left on device")), "{line}");
    }
    assert_eq!(outcome.stderr.lines().count(), 3, "{}", outcome.stderr);
}

fn an_error_names_the_path_and_the_reason() {
    let temp = TempDir::new();
    let file = temp.write("file", b"", 0o644);
    let locked = temp.file("locked");
    fs::create_dir(&locked).unwrap();
    let rows = [
        (temp.file("no/such/directory"), temp.file("no/such/directory"), "No such file or directory"),
        // A slash at the end asks for a directory that is there: nothing takes its name.
        (temp.file("missing/"), temp.file("missing/"), "Not a directory"),
        (format!("{file}/init"), format!("{file}/init"), "Not a directory"),
        (locked.clone(), format!("{locked}/rinit"), "Read-only file system"),
        ("/proc/init".into(), "/proc/init".into(), "No such file or directory"),
    ];
    for (path, named, reason) in rows {
        let outcome = script(&format!(
            "mount --bind '{locked}' '{locked}' && mount -o remount,bind,ro '{locked}' && exec \"$RINIT\" --install '{path}'"
        ));
        assert_eq!(outcome.code, 125, "{path}");
        let expected = format!("cannot install to '{named}': {reason}\n");
        assert!(outcome.stderr.ends_with(&expected), "{path}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
    // A directory is in the way of the file that goes into it.
    fs::create_dir_all(temp.file("bin/rinit")).unwrap();
    let outcome = run(Role::Pid1, &["--install", &temp.file("bin")]);
    assert_eq!(outcome.code, 125);
    assert!(
        outcome.stderr.ends_with("bin/rinit': it is a directory; give a new name, a regular file or a directory\n"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read_dir(temp.file("bin")).unwrap().count(), 1);
    assert!(!fs::exists(temp.file("missing")).unwrap());
    let outcome = run(Role::Pid1, &["--install", ""]);
    assert!(outcome.code == 125 && outcome.stderr.contains("--install"), "{}", outcome.stderr);
    let outcome = run(Role::Pid1, &["--install", &file, "true"]);
    assert!(outcome.code == 125 && outcome.stderr.contains("'true'"), "{}", outcome.stderr);
}

fn it_works_from_an_empty_root_without_proc_as_any_user() {
    let temp = TempDir::new();
    let root = temp.path().to_str().unwrap().to_owned();
    fs::copy(rinit(), temp.file("rinit")).unwrap();
    for name in ["all", "of/them", "too"] {
        fs::create_dir_all(temp.file(name)).unwrap();
    }
    for name in ["all", "of/them"] {
        fs::set_permissions(temp.file(name), fs::Permissions::from_mode(0o1777)).unwrap();
    }
    for (user, words, file) in [
        ("0:0", &["/rinit", "--install", "/too/init"][..], "too/init"),
        ("65534:65534", &["/rinit", "--install", "/all"], "all/rinit"),
        // By another name than the one it was started by.
        ("65534:65534", &["../../rinit", "--install", "of/them/init"], "of/them/init"),
    ] {
        let mut command = program("chroot");
        command.args(["--userspec", user, &root]).args(words);
        let outcome = run_to_end(Role::Pid1, &mut command);
        assert_eq!(outcome.code, 0, "{words:?}: {}", outcome.stderr);
        assert_installed(&temp.file(file));
    }
    // And the copy runs there: rinit below rinit.
    let mut command = program("chroot");
    let outcome = run_to_end(Role::Pid1, command.args([&root, "/all/rinit", "--", "/rinit", "--version"]));
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("rinit "), "{}", outcome.stdout);
}

/// `--install` onto this is refused, in one line, and leaves what is there as it is.
fn assert_refused(path: &str) {
    let before = fs::symlink_metadata(path).unwrap();
    let outcome = run(Role::Subreaper, &["--install", path]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (125, 1), "{path}: {}", outcome.stderr);
    assert!(outcome.stderr.contains(path), "{}", outcome.stderr);
    let after = fs::symlink_metadata(path).unwrap();
    assert_eq!((before.file_type(), before.ino()), (after.file_type(), after.ino()), "{path}");
    assert_eq!(hidden_files(Path::new(path).parent().unwrap()), [""; 0], "a temporary file stayed");
}

fn what_is_no_regular_file_is_refused_and_stays() {
    let temp = TempDir::new();
    let fifo = temp.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = temp.file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let links = [
        ("nothing", "dangling-link"),
        ("fifo", "fifo-link"),
        ("socket", "socket-link"),
        ("/dev/null", "device-link"),
        ("loop", "loop"),
    ];
    for (target, link) in links {
        std::os::unix::fs::symlink(target, temp.file(link)).unwrap();
    }
    assert_refused(&fifo);
    assert_refused(&socket);
    for (_, link) in links {
        assert_refused(&temp.file(link));
    }
    // Nothing came through a link either.
    assert!(!fs::exists(temp.file("nothing")).unwrap());
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

fn a_device_is_refused_and_stays() {
    let temp = TempDir::new();
    let device = temp.file("null");
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    mknod(device.as_str(), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
    assert_refused(&device);
}

fn a_link_to_a_regular_file_is_replaced() {
    let temp = TempDir::new();
    fs::write(temp.file("old"), "old").unwrap();
    std::os::unix::fs::symlink("old", temp.file("link")).unwrap();
    let outcome = run(Role::Subreaper, &["--install", &temp.file("link")]);
    assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (0, String::new()));
    assert!(fs::read(temp.file("link")).unwrap() == fs::read(rinit()).unwrap());
}

fn a_link_to_a_directory_stays_and_the_directory_gets_it() {
    // As /bin is one where /usr is merged.
    let temp = TempDir::new();
    fs::create_dir(temp.file("directory")).unwrap();
    std::os::unix::fs::symlink("directory", temp.file("link")).unwrap();
    let outcome = run(Role::Subreaper, &["--install", &temp.file("link")]);
    assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (0, String::new()));
    assert_eq!(fs::read_link(temp.file("link")).unwrap(), Path::new("directory"));
    assert_installed(&temp.file("directory/rinit"));
}
