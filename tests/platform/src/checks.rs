//! The checks: each is a promise of rinit's that could break on one platform and hold on another.

use std::ffi::c_int;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::duties::hex;
use crate::harness::{
    Context, Role, Run, children, on_terminal, open_descriptors, proc_line, read, recorded, state, wait_for_file,
    wait_until, wait_until_ready, wait_until_recorded,
};
use crate::pty::{self, CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z};
use crate::signals::{REAL_TIME, deadly, forwarded, kill, queue, queue_with_code};

/// A check.
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// What rinit is in it.
    pub roles: &'static [Role],
    /// Its code.
    pub run: Run,
}

/// The released binary has no more private pages than this while it is idle, whatever their size: stack, data and bss.
const MOST_PAGES: usize = 6;

const BOTH: &[Role] = &[Role::Pid1, Role::Subreaper];
const TOOL: &[Role] = &[Role::Tool];

/// All checks, in the order in which they run.
pub const CHECKS: &[Check] = &[
    Check { name: "version", roles: TOOL, run: version },
    Check { name: "exit-codes", roles: BOTH, run: exit_codes },
    Check { name: "deaths", roles: BOTH, run: deaths },
    Check { name: "failures-to-start", roles: BOTH, run: failures_to_start },
    Check { name: "remapped-codes", roles: BOTH, run: remapped_codes },
    Check { name: "arguments", roles: BOTH, run: arguments },
    Check { name: "environment", roles: BOTH, run: environment },
    Check { name: "variables-with-a-pid", roles: &[Role::Pid1], run: variables_with_a_pid },
    Check { name: "descriptors", roles: BOTH, run: descriptors },
    Check { name: "only-stderr-kept", roles: BOTH, run: only_stderr_kept },
    Check { name: "mask-and-dispositions", roles: BOTH, run: mask_and_dispositions },
    Check { name: "ignored-sigchld", roles: BOTH, run: ignored_sigchld },
    Check { name: "signals", roles: BOTH, run: signals },
    Check { name: "signals-single-child", roles: BOTH, run: signals_single_child },
    Check { name: "signals-all", roles: BOTH, run: signals_all },
    Check { name: "queued-values", roles: BOTH, run: queued_values },
    Check { name: "unusual-codes", roles: BOTH, run: unusual_codes },
    Check { name: "rewritten-signals", roles: BOTH, run: rewritten_signals },
    Check { name: "whole-group", roles: BOTH, run: whole_group },
    Check { name: "left-group", roles: BOTH, run: left_group },
    Check { name: "all-reaches-daemons", roles: BOTH, run: all_reaches_daemons },
    Check { name: "first-instants", roles: BOTH, run: first_instants },
    Check { name: "parent-death", roles: &[Role::Subreaper], run: parent_death },
    Check { name: "orphans", roles: BOTH, run: orphans },
    Check { name: "grace", roles: BOTH, run: grace },
    Check { name: "grace-deadline", roles: BOTH, run: grace_deadline },
    Check { name: "long-grace", roles: BOTH, run: long_grace },
    Check { name: "kill-after", roles: BOTH, run: kill_after },
    Check { name: "wait-all", roles: BOTH, run: wait_all },
    Check { name: "pause", roles: BOTH, run: pause },
    Check { name: "terminal-foreground", roles: BOTH, run: terminal_foreground },
    Check { name: "terminal-keys", roles: BOTH, run: terminal_keys },
    Check { name: "terminal-no-freeze", roles: BOTH, run: terminal_no_freeze },
    Check { name: "terminal-job-control", roles: &[Role::Subreaper], run: terminal_job_control },
    Check { name: "terminal-size-and-end", roles: BOTH, run: terminal_size_and_end },
    Check { name: "install", roles: TOOL, run: install },
    Check { name: "zombies", roles: TOOL, run: zombies },
    Check { name: "idle-cost", roles: &[Role::Pid1], run: idle_cost },
];

type Result<T = ()> = std::result::Result<T, String>;

/// Fails unless both are the same.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Result {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual:?}, expected {expected:?}")) }
}

fn plain(signal: c_int) -> String {
    format!("{signal} plain")
}

fn version(context: &Context) -> Result {
    let mut running = context.start_words(&context.rinit(&["--version"], &[]), |command| command)?;
    running.exits_with(0)?;
    let stdout = running.stdout();
    // What dockerd reads: moby, parseInitVersion.
    let commit = stdout.strip_prefix("rinit ").and_then(|rest| rest.trim_end().split_once(" - git."));
    let is_good = commit.is_some_and(|(_, commit)| {
        (7..=40).contains(&commit.len()) && commit.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    same("the form of the version", is_good, true).map_err(|why| format!("{why}: {stdout:?}"))
}

fn exit_codes(context: &Context) -> Result {
    (0..=255).try_for_each(|code| context.start(&[], &["exit", &code.to_string()])?.exits_with(code))
}

fn deaths(context: &Context) -> Result {
    deadly().try_for_each(|signal| {
        let result = context.start(&[], &["die", &signal.to_string()])?.exits_with(128 + signal);
        result.map_err(|why| format!("signal {signal}: {why}"))
    })
}

fn failures_to_start(context: &Context) -> Result {
    let plain = context.file("plain");
    fs::write(&plain, "not a program\n").map_err(|error| error.to_string())?;
    for (words, code, why) in [
        (&["--", "/no/such/file"][..], 127, "No such file or directory"),
        (&["no-such-command"], 127, "no-such-command"),
        (&["/"], 126, "Permission denied"),
        (&[&plain], 126, "Permission denied"),
        (&["--no-such-option"], 125, "--no-such-option"),
        (&[], 125, ""),
    ] {
        let mut running = context.start_words(&context.rinit(words, &[]), |command| command)?;
        running.exits_with(code)?;
        same(&format!("{why:?} in {:?}", running.stderr()), running.stderr().contains(why), true)?;
    }
    Ok(())
}

fn remapped_codes(context: &Context) -> Result {
    context.start(&["-e", "143"], &["die", "15"])?.exits_with(0)?;
    context.start(&["-e", "1,143"], &["exit", "1"])?.exits_with(0)?;
    context.start(&["-e", "143"], &["exit", "7"])?.exits_with(7)
}

fn arguments(context: &Context) -> Result {
    let long = "x".repeat(50_000);
    let words: [&[u8]; 7] = [b"", b"a b", b"--help", b"-\n", b"\xff\xfe\x80", "\u{fc}".as_bytes(), long.as_bytes()];
    let (through, file) = (context.file("through"), context.file("file"));
    let given = words.map(std::ffi::OsStr::from_bytes);
    let start = context.rinit(&[], &context.duty(&["arguments", &through]));
    context.start_words(&start, |command| command.args(given))?.exits_with(0)?;
    let expected: String = words.iter().map(|word| hex(word) + "\n").collect();
    same("the arguments", read(&through), expected.clone())?;
    // As does a command without rinit: what is expected is true.
    context.start_words(&context.duty(&["arguments", &file]), |command| command.args(given))?.exits_with(0)?;
    same("the arguments without rinit", read(&file), expected)
}

fn environment(context: &Context) -> Result {
    let file = context.file("environment");
    let start = context.rinit(&[], &context.duty(&["environment", &file]));
    context.start_words(&start, |command| command.env("A", "").env("B", "1\n2").env("C", "\u{fc}"))?.exits_with(0)?;
    let text = read(&file);
    same("the variables", text.split_once('\n').map(|(_, rest)| rest), Some("A=\nB=1\n2\nC=\u{fc}\n"))
}

fn variables_with_a_pid(context: &Context) -> Result {
    let file = context.file("environment");
    let start = context.rinit(&[], &context.duty(&["environment", &file]));
    // rinit is PID 1. The second one is somebody else's.
    context.start_words(&start, |command| command.env("LISTEN_PID", "1").env("WATCHDOG_PID", "77"))?.exits_with(0)?;
    let text = read(&file);
    let pid = text.lines().next().and_then(|line| line.strip_prefix("pid ")).unwrap_or("none");
    same("the variables", &*text, &*format!("pid {pid}\nLISTEN_PID={pid}\nWATCHDOG_PID=77\n"))
}

fn descriptors(context: &Context) -> Result {
    let (through, file) = (context.file("through"), context.file("file"));
    for (words, file) in [
        (context.rinit(&[], &context.duty(&["descriptors", &through])), &through),
        (context.duty(&["descriptors", &file]), &file),
    ] {
        let inherit_more = || {
            // SAFETY: numbers only.
            unsafe { libc::dup2(1, 7) };
            Ok(())
        };
        // SAFETY: a system call only.
        context.start_words(&words, |command| unsafe { command.pre_exec(inherit_more) })?.exits_with(0)?;
        same("one more than the standard descriptors", read(file).contains("[0, 1, 2, 7"), true)?;
    }
    same("the descriptors", read(&through), read(&file))
}

fn only_stderr_kept(context: &Context) -> Result {
    let file = context.file("log");
    let running = context.start(&[], &["record", &file])?;
    wait_until_ready(&file)?;
    wait_until("rinit to hold only stderr", || (open_descriptors(running.pid) == [2]).then_some(()))
        .map_err(|why| format!("{why}; it holds {:?}", open_descriptors(running.pid)))
}

fn mask_and_dispositions(context: &Context) -> Result {
    for (states, expected) in [
        ("", "blocked [] ignored []\n"),
        ("ignored:1,13,20,34,64", "blocked [] ignored [1, 13, 20, 34, 64]\n"),
        ("blocked:2,10,17,31,35,64", "blocked [2, 10, 17, 31, 35, 64] ignored []\n"),
        ("blocked:1,33,40;ignored:2,13,22,63", "blocked [1, 33, 40] ignored [2, 13, 22, 63]\n"),
    ] {
        let (through, file) = (context.file("through"), context.file("file"));
        let inherit = |command: &[String]| [&context.duty(&["inherit", states])[..], command].concat();
        let with_rinit = inherit(&context.rinit(&[], &context.duty(&["signals", &through])));
        context.start_words(&with_rinit, |command| command)?.exits_with(0)?;
        same(&format!("with {states:?}"), &*read(&through), expected)?;
        context.start_words(&inherit(&context.duty(&["signals", &file])), |command| command)?.exits_with(0)?;
        same(&format!("without rinit, with {states:?}"), &*read(&file), expected)?;
    }
    Ok(())
}

fn ignored_sigchld(context: &Context) -> Result {
    let inherit = context.duty(&["inherit", "ignored:17"]);
    let with_code = [&inherit[..], &context.rinit(&[], &context.duty(&["exit", "7"]))].concat();
    context.start_words(&with_code, |command| command)?.exits_with(7)?;
    let file = context.file("file");
    let with_report = [inherit, context.rinit(&[], &context.duty(&["signals", &file]))].concat();
    context.start_words(&with_report, |command| command)?.exits_with(0)?;
    same("the command's signals", &*read(&file), "blocked [] ignored [17]\n")
}

/// Sends each signal that is forwarded, one after the other.
fn each_signal(context: &Context, options: &[&str]) -> Result {
    let file = context.file("log");
    let mut running = context.start(options, &["record", &file])?;
    wait_until_ready(&file)?;
    let mut expected = Vec::new();
    for signal in forwarded() {
        running.kill(signal)?;
        expected.push(plain(signal));
        wait_until_recorded(&file, &expected)?;
    }
    same("the number of signals", expected.len(), 59)?;
    // Neither was the kernel's word about children one of them, nor has any of them ended rinit.
    running.kill(libc::SIGCHLD)?;
    running.kill(libc::SIGSYS)?;
    expected.push(plain(libc::SIGSYS));
    wait_until_recorded(&file, &expected)?;
    same("whether rinit lives", running.lives()?, true)
}

fn signals(context: &Context) -> Result {
    each_signal(context, &[])
}

fn signals_single_child(context: &Context) -> Result {
    each_signal(context, &["-c"])
}

fn signals_all(context: &Context) -> Result {
    each_signal(context, &["-a"])
}

fn queued_values(context: &Context) -> Result {
    // Each byte another one, so that no half, and no order of bytes, is taken for another.
    let patterns = [0, 1, 0x0123_4567, usize::MAX, (0x0123_4567_89ab_cdef_u64 & usize::MAX as u64) as usize];
    for options in [&[][..], &["-c"], &["-a"], &["-r", "40:41"]] {
        let file = context.file(&format!("log{}", options.concat()));
        let running = context.start(options, &["record", &file])?;
        wait_until_ready(&file)?;
        let arrives_as = if options.len() == 2 { REAL_TIME + 1 } else { REAL_TIME };
        let mut expected = Vec::new();
        for value in (0..20).chain(patterns) {
            queue(running.pid, REAL_TIME, value)?;
            expected.push(format!("{arrives_as} value {value}"));
        }
        wait_until_recorded(&file, &expected)?;
        // A standard signal can be queued with a value as well: once at a time.
        for value in patterns {
            queue(running.pid, libc::SIGUSR1, value)?;
            expected.push(format!("{} value {value}", libc::SIGUSR1));
            wait_until_recorded(&file, &expected)?;
        }
    }
    Ok(())
}

fn unusual_codes(context: &Context) -> Result {
    let file = context.file("log");
    let running = context.start(&[], &["record", &file])?;
    wait_until_ready(&file)?;
    let mut expected = Vec::new();
    for code in [libc::SI_TIMER, libc::SI_MESGQ, libc::SI_ASYNCIO] {
        for value in [7, usize::MAX / 3] {
            queue_with_code(running.pid, REAL_TIME, code, value)?;
            expected.push(format!("{REAL_TIME} value {value}"));
        }
    }
    wait_until_recorded(&file, &expected)
}

fn rewritten_signals(context: &Context) -> Result {
    let file = context.file("log");
    let running = context.start(&["-r", "TERM:INT,HUP:0", "-r", "rtmin+3:SIGUSR2"], &["record", &file])?;
    wait_until_ready(&file)?;
    running.kill(libc::SIGTERM)?;
    wait_until_recorded(&file, &[plain(libc::SIGINT)])?;
    // As glibc counts and everybody writes it, whatever this program's C library does: musl's first one is 35.
    running.kill(34 + 3)?;
    wait_until_recorded(&file, &[plain(libc::SIGINT), plain(libc::SIGUSR2)])?;
    running.kill(libc::SIGHUP)?;
    // Taken after the one that is dropped: its number is higher.
    running.kill(libc::SIGUSR1)?;
    wait_until_recorded(&file, &[plain(libc::SIGINT), plain(libc::SIGUSR2), plain(libc::SIGUSR1)])
}

fn whole_group(context: &Context) -> Result {
    for (options, both) in [(&[][..], true), (&["-c"], false)] {
        let name = options.concat();
        let (file, other) = (context.file(&format!("main{name}")), context.file(&format!("other{name}")));
        let running = context.start(options, &["record-with", &file, &other])?;
        wait_until_ready(&file)?;
        wait_until_ready(&other)?;
        running.kill(libc::SIGUSR1)?;
        wait_until_recorded(&file, &[plain(libc::SIGUSR1)])?;
        if both {
            wait_until_recorded(&other, &[plain(libc::SIGUSR1)])?;
        } else {
            // The main child has got it, so rinit is done with it; what comes now comes last.
            let other_pid = *children(running.main_child()?).first().ok_or("the other one is gone")?;
            kill(other_pid, libc::SIGUSR2)?;
            wait_until_recorded(&other, &[plain(libc::SIGUSR2)])?;
        }
    }
    Ok(())
}

fn left_group(context: &Context) -> Result {
    let file = context.file("log");
    let running = context.start(&[], &["record-elsewhere", &file])?;
    wait_until_ready(&file)?;
    running.kill(libc::SIGUSR1)?;
    wait_until_recorded(&file, &[plain(libc::SIGUSR1)])
}

fn all_reaches_daemons(context: &Context) -> Result {
    let (file, daemon) = (context.file("main"), context.file("daemon"));
    let running = context.start(&["-a"], &["record-beside-daemon", &file, &daemon])?;
    wait_until_ready(&file)?;
    wait_until_ready(&daemon)?;
    running.kill(libc::SIGUSR1)?;
    queue(running.pid, REAL_TIME, 7)?;
    let expected = [plain(libc::SIGUSR1), format!("{REAL_TIME} value 7")];
    wait_until_recorded(&file, &expected)?;
    wait_until_recorded(&daemon, &expected)
}

fn first_instants(context: &Context) -> Result {
    for _ in 0..100 {
        let mut running = context.start(&[], &["hold"])?;
        running.wait_until_it_takes_signals()?;
        running.kill(libc::SIGTERM)?;
        running.exits_with(143)?;
    }
    Ok(())
}

fn parent_death(context: &Context) -> Result {
    let (file, go) = (context.file("log"), context.file("go"));
    let rinit = context.rinit(&["-p", "USR2"], &context.duty(&["record", &file]));
    let words = [&context.duty(&["abandon", &go])[..], &rinit].concat();
    let mut parent = context.start_words(&words, |command| command)?;
    wait_until_ready(&file)?;
    same("what came before", recorded(&file), vec![])?;
    fs::write(&go, "").map_err(|error| error.to_string())?;
    parent.exits_with(0)?;
    wait_until_recorded(&file, &[plain(libc::SIGUSR2)])
}

fn orphans(context: &Context) -> Result {
    let file = context.file("log");
    let mut running = context.start(&["-v"], &["orphans", "300", &file])?;
    wait_until_ready(&file)?;
    let main_child = running.main_child()?;
    wait_until("all to be reaped", || (children(running.pid) == [main_child]).then_some(()))?;
    running.kill(libc::SIGTERM)?;
    running.exits_with(7)?;
    // Nobody else has reaped any of them.
    let stderr = running.stderr();
    same("300 reaped", stderr.contains("300 orphans"), true).map_err(|why| format!("{why}: {stderr}"))
}

fn grace(context: &Context) -> Result {
    let file = context.file("data");
    let mut running = context.start(&["--grace", "1h"], &["leave", &file, "300", "3"])?;
    running.exits_with(3)?;
    same("what was saved", &*read(&file), "saved\n")?;
    same("the messages", running.stderr(), String::new())
}

fn grace_deadline(context: &Context) -> Result {
    let file = context.file("log");
    let mut running = context.start(&["--grace", "0.5"], &["leave-deaf", &file, "3"])?;
    running.exits_with(3)?;
    let mut got = recorded(&file);
    got.sort();
    same("what was sent before the end", got, vec![plain(libc::SIGTERM), plain(libc::SIGCONT)])
}

fn long_grace(context: &Context) -> Result {
    // Seconds that a signed number of 32 bits does not hold.
    let file = context.file("data");
    let mut running = context.start(&["--grace", "3000000000"], &["leave", &file, "300", "3"])?;
    running.exits_with(3)?;
    same("what was saved", &*read(&file), "saved\n")
}

fn kill_after(context: &Context) -> Result {
    let file = context.file("log");
    let mut running = context.start(&["--kill-after", "0.5"], &["record", &file])?;
    wait_until_ready(&file)?;
    running.kill(libc::SIGTERM)?;
    running.exits_with(137)?;
    same("what came before the end", recorded(&file), vec![plain(libc::SIGTERM)])
}

fn wait_all(context: &Context) -> Result {
    let file = context.file("data");
    context.start(&["--wait-all"], &["daemonise", &file, "300", "3"])?.exits_with(3)?;
    same("what the daemon has done", &*read(&file), "served\n")
}

fn pause(context: &Context) -> Result {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut running = context.start_words(&context.rinit(&["--pause"], &[]), |command| command)?;
        running.wait_until_it_takes_signals()?;
        running.kill(signal)?;
        running.exits_with(0)?;
    }
    Ok(())
}

/// Starts rinit as the leader of a session on a new terminal.
fn start_on_terminal(context: &Context, words: &[String]) -> Result<(pty::Terminal, crate::harness::Running)> {
    let (terminal, other_side) = pty::open().map_err(|error| format!("no terminal: {error}"))?;
    Ok((terminal, context.start_words(words, |command| on_terminal(command, other_side))?))
}

/// Waits until the main child's group has the foreground.
fn wait_until_in_foreground(terminal: &pty::Terminal, running: &crate::harness::Running) -> Result<libc::pid_t> {
    let main_child = running.main_child()?;
    wait_until("the command's group to be in the foreground", || {
        (terminal.foreground() == main_child).then_some(main_child)
    })
}

fn terminal_foreground(context: &Context) -> Result {
    let (terminal, running) = start_on_terminal(context, &context.rinit(&[], &context.duty(&["hold"])))?;
    wait_until_in_foreground(&terminal, &running).map(drop)
}

fn terminal_keys(context: &Context) -> Result {
    for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
        let (mut terminal, mut running) = start_on_terminal(context, &context.rinit(&[], &context.duty(&["hold"])))?;
        wait_until_in_foreground(&terminal, &running)?;
        terminal.press(key)?;
        running.exits_with(code)?;
        let file = context.file(&format!("log{code}"));
        let (mut terminal, running) =
            start_on_terminal(context, &context.rinit(&[], &context.duty(&["record", &file])))?;
        wait_until_ready(&file)?;
        wait_until_in_foreground(&terminal, &running)?;
        terminal.press(key)?;
        wait_until_recorded(&file, &[plain(code - 128)])?;
        // rinit takes a signal with a lower number first, so a second one would come before it.
        running.kill(REAL_TIME)?;
        wait_until_recorded(&file, &[plain(code - 128), plain(REAL_TIME)])?;
    }
    Ok(())
}

fn terminal_no_freeze(context: &Context) -> Result {
    let (mut terminal, mut running) = start_on_terminal(context, &context.rinit(&[], &context.duty(&["echo"])))?;
    terminal.expect("ready")?;
    wait_until_in_foreground(&terminal, &running)?;
    for round in 0..3 {
        terminal.press(CTRL_Z)?;
        terminal.press(&format!("{round}\n"))?;
        terminal.expect(&format!("got {round}"))?;
    }
    terminal.press(CTRL_D)?;
    running.exits_with(0)
}

fn terminal_job_control(context: &Context) -> Result {
    let file = context.file("stopped");
    let rinit = context.rinit(&[], &context.duty(&["echo"]));
    let (mut terminal, mut shell) = start_on_terminal(context, &[&context.duty(&["job", &file])[..], &rinit].concat())?;
    terminal.expect("ready")?;
    let rinit = shell.main_child()?;
    let command = wait_until("the command", || children(rinit).first().copied())?;
    let in_foreground = |terminal: &pty::Terminal| {
        wait_until("the command's group to be in the foreground", || (terminal.foreground() == command).then_some(()))
    };
    in_foreground(&terminal)?;
    for round in 0..3 {
        terminal.press(&format!("{round}\n"))?;
        terminal.expect(&format!("got {round}"))?;
        terminal.press(CTRL_Z)?;
        wait_for_file(&file)?;
        same("the states", (state(rinit), state(command)), (Some('T'), Some('T')))?;
        terminal.press("\n")?;
        in_foreground(&terminal)?;
    }
    terminal.press("last\n")?;
    terminal.expect("got last")?;
    terminal.press(CTRL_D)?;
    shell.exits_with(0)
}

fn terminal_size_and_end(context: &Context) -> Result {
    let file = context.file("log");
    let (terminal, running) = start_on_terminal(context, &context.rinit(&[], &context.duty(&["record", &file])))?;
    wait_until_ready(&file)?;
    wait_until_in_foreground(&terminal, &running)?;
    terminal.resize(50, 132)?;
    wait_until_recorded(&file, &[plain(libc::SIGWINCH)])?;
    let (terminal, mut running) = start_on_terminal(context, &context.rinit(&[], &context.duty(&["hold"])))?;
    wait_until_in_foreground(&terminal, &running)?;
    drop(terminal);
    running.exits_with(129)
}

fn install(context: &Context) -> Result {
    let directory = context.file("directory");
    fs::create_dir(&directory).map_err(|error| error.to_string())?;
    let copy = format!("{directory}/init");
    // The second time there is an older one.
    for _ in 0..2 {
        let mut running = context.start_words(&context.rinit(&["--install", &copy], &[]), |command| command)?;
        running.exits_with(0)?;
        let bytes = |path: &std::path::Path| fs::read(path).map_err(|error| error.to_string());
        same("the copy", bytes(copy.as_ref())? == bytes(context.binary())?, true)?;
        let mode = fs::metadata(&copy).map_err(|error| error.to_string())?.permissions().mode();
        same("the mode", mode & 0o7777, 0o755)?;
        same("the files", fs::read_dir(&directory).map_err(|error| error.to_string())?.count(), 1)?;
    }
    let command = context.duty(&["exit", "9"]);
    let words = [context.copy_of_rinit(&copy, &["--"]), command].concat();
    context.start_words(&words, |command| command)?.exits_with(9)
}

fn zombies(context: &Context) -> Result {
    let look = || context.start_words(&context.rinit(&["--zombies"], &[]), |command| command);
    let mut before = look()?;
    before.exits_with(0)?;
    same("the report", &*before.stdout(), "no zombies\n")?;
    let file = context.file("ready");
    let guilty = context.start_words(&context.duty(&["hoard", "3", &file]), |command| command)?;
    wait_for_file(&file)?;
    wait_until("three zombies", || {
        let all = children(guilty.pid);
        (all.len() == 3 && all.iter().all(|child| state(*child) == Some('Z'))).then_some(())
    })?;
    let mut after = look()?;
    after.exits_with(1)?;
    let report = after.stdout();
    let is_named = report.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&&*guilty.pid.to_string()) && words.contains(&"3")
    });
    same("a row with the guilty one's pid and 3", is_named, true).map_err(|why| format!("{why}: {report}"))
}

/// Prints what an idle rinit costs, a line for each figure, which is the mean of some runs. Private memory is what the kernel calls
/// anonymous: files in a root in memory are never clean, so their pages, too, would count as private dirty.
fn idle_cost(context: &Context) -> Result {
    const RUNS: usize = 8;
    // SAFETY: takes a number and gives one.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0) / 1024;
    let figures = [
        ("private", "smaps_rollup", "Anonymous"),
        ("page tables", "status", "VmPTE"),
        ("resident", "smaps_rollup", "Rss"),
    ];
    let mut sums = [0; 3];
    for run in 0..RUNS {
        let file = context.file(&format!("log{run}"));
        let running = context.start(&[], &["record", &file])?;
        wait_until_ready(&file)?;
        wait_until("rinit to be idle", || {
            let wchan = read(&format!("/proc/{}/wchan", running.pid));
            (wchan.contains("sigtimedwait") && state(running.pid) == Some('S')).then_some(())
        })?;
        for (sum, (name, file, field)) in sums.iter_mut().zip(figures) {
            let line = proc_line(running.pid, file, field).ok_or_else(|| format!("no {field} in /proc/PID/{file}"))?;
            let number = line.strip_suffix(" kB").and_then(|number| number.parse::<usize>().ok());
            *sum += number.ok_or_else(|| format!("{name}: {line}"))?;
        }
    }
    let mut lines = format!("cost\tpage, KiB\t{page}\n");
    for (sum, (name, ..)) in sums.iter().zip(figures) {
        lines += &format!("cost\t{name}, KiB\t{}\n", (sum + RUNS / 2) / RUNS);
    }
    std::io::stdout().write_all(lines.as_bytes()).map_err(|error| error.to_string())?;
    let private = sums[0] / RUNS;
    if private <= MOST_PAGES * page {
        return Ok(());
    }
    Err(format!(
        "{private} KiB of private memory; the released binary, which ci/cross builds, has at most {MOST_PAGES} pages"
    ))
}
