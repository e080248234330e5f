//! The program that the integration tests run below rinit: one duty a subcommand.
//!
//! It is static, as rinit is, so that it runs in an empty root too, and uses none of rinit's code, whose faults it is
//! there to find. Rust's own start-up is left out: it would ignore SIGPIPE and open closed standard descriptors,
//! which are things to be reported. No duty outlives [`LIFETIME`]: a test that was killed leaves nothing for ever.

#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's program"
)]

use std::ffi::{CStr, c_char, c_int, c_long};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::exit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod inherited;
mod offspring;

/// How long the longest duty lasts, in seconds.
const LIFETIME: u64 = 300;

/// What the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings that stay for the life of the process: execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let words: Vec<&'static CStr> = (0..argc as usize)
        .map(|index| {
            // SAFETY: below argc: the caller's promise.
            unsafe { CStr::from_ptr(*argv.add(index)) }
        })
        .collect();
    perform(&words)
}

/// Does the duty that the words name.
fn perform(words: &[&'static CStr]) -> c_int {
    let text = |at: usize| words.get(at).map_or("", |word| word.to_str().unwrap());
    let number = |at: usize| text(at).parse::<c_int>().unwrap();
    match text(1) {
        // exit CODE
        "exit" => return number(2),
        "die" => die(number(2)),
        "hold" => hold(),
        // wait MILLISECONDS
        "wait" => thread::sleep(Duration::from_millis(number(2) as u64)),
        // exists FILE
        "exists" => return c_int::from(!fs::exists(text(2)).unwrap()),
        "keep" => keep(),
        // record FILE [SIGNAL CODE]: exits with CODE on SIGNAL
        "record" => record(text(2), (words.len() > 3).then(|| (number(3), number(4)))),
        "record-elsewhere" => {
            leave_group();
            record(text(2), None)
        }
        // obey CODE FILE: as most programs, it stops when it is told to, and ends in order on SIGTERM
        "obey" => obey(number(2), text(3)),
        // As a daemon does it: a child in a session of its own, whose parent is gone.
        "record-detached" => {
            if fork() == 0 {
                set_session();
                record(text(2), None)
            }
        }
        // Gives stdin and stdout back and lives on.
        "close-output" => {
            for descriptor in [0, 1] {
                // SAFETY: nothing in this program uses them from here on.
                unsafe { libc::close(descriptor) };
            }
            record(text(2), None)
        }
        // take-stop HOW COMMAND...
        "take-stop" => take_stop(text(2), &words[3..]),
        "flush" => flush(text(2), number(3)),
        // flush-later FILE MILLISECONDS: the same without being asked
        "flush-later" => {
            thread::sleep(Duration::from_millis(number(3) as u64));
            fs::write(text(2), "flushed\n").unwrap();
        }
        "bequeath" => bequeath(text(2)),
        "queue" => queue(number(2), number(3), number(4)),
        "state" => print!("{}", state()),
        "facts" => fs::write(text(2), facts()).unwrap(),
        "arguments" => words.iter().for_each(|word| println!("{}", hex(word.to_bytes()))),
        "inherit" => inherit(text(2), &words[3..]),
        "orphans" => orphans(number(2)),
        "storm" => storm(text(2)),
        "hoard" => hoard(number(2), text(3)),
        // hoard-named NAME FILE
        "hoard-named" => hoard_named(words[2], text(3)),

        "held" => held(&words[2..]),
        "job" => job(&words[2..]),
        // exercise FILE [MILLISECONDS]
        "exercise" => exercise(text(2), if words.len() > 3 { number(3) } else { 300 }),
        "exercise-terminal" => exercise_terminal(),
        // leaderless DUTY...
        "leaderless" => offspring::leaderless(&words[1..]),
        "respawn" => offspring::respawn(text(2)),
        "fork-chain" => offspring::fork_chain(text(2)),
        "fork-all-the-time" => offspring::fork_all_the_time(text(2)),
        "idle" => offspring::idle(number(2), text(3)),
        // interrupt PID [TIMES]
        "interrupt" => offspring::interrupt(number(2), (words.len() > 3).then(|| number(3))),
        "hoard-memory" => offspring::hoard_memory(),
        // refuse NUMBER ERRNO COMMAND...: in a sandbox that refuses this system call
        "refuse" => inherited::refuse(number(2), number(3), &words[4..]),
        // refuse-foreground COMMAND...
        "refuse-foreground" => inherited::refuse_foreground(&words[2..]),
        // with-child EXIT-SIGNAL FILE COMMAND...
        "with-child" => inherited::with_child(number(2), text(3), &words[4..]),
        // with-parent-death-signal SIGNAL COMMAND...
        "with-parent-death-signal" => inherited::with_parent_death_signal(number(2), &words[3..]),
        // with-lock FILE COMMAND...
        "with-lock" => inherited::with_lock(text(2), &words[3..]),
        // with-timer ALARM|VIRTUAL|PROF COMMAND...
        "with-timer" => inherited::with_timer(text(2), &words[3..]),
        // with-deadline FLAGS COMMAND...
        "with-deadline" => inherited::with_deadline(number(2), &words[3..]),
        "scheduling" => print!("{}", inherited::scheduling()),
        other => panic!("no such duty: {other}"),
    }
    0
}

/// Takes every signal and writes a line for each: its number, then `plain` or the value it was queued with. The first
/// line is `ready PID`. Nothing but SIGKILL ends it, or the signal given, with the code given.
fn record(file: &str, last: Option<(c_int, c_int)>) -> ! {
    set_mask(u64::MAX);
    let mut log = OpenOptions::new().create(true).append(true).open(file).unwrap();
    // One write, one line: readers never see half of one.
    log.write_all(format!("ready {}\n", std::process::id()).as_bytes()).unwrap();
    while let Some(arrived) = next_signal() {
        log.write_all(line(&arrived).as_bytes()).unwrap();
        if let Some((signal, code)) = last
            && signal == arrived.si_signo
        {
            exit(code);
        }
    }
    exit(99)
}

/// The next signal, all being blocked; none when this program has lived long enough.
fn next_signal() -> Option<libc::siginfo_t> {
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    loop {
        let left =
            libc::timespec { tv_sec: end.saturating_duration_since(Instant::now()).as_secs() as i64, tv_nsec: 0 };
        // SAFETY: plain structures of the C library's own, which the two calls fill.
        let (arrived, number) = unsafe {
            let (mut all, mut arrived) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            let number = libc::sigtimedwait(&all, &mut arrived, &left);
            (arrived, number)
        };
        match number {
            -1 if Instant::now() >= end || left.tv_sec == 0 => return None,
            -1 => {}
            _ => return Some(arrived),
        }
    }
}

fn line(arrived: &libc::siginfo_t) -> String {
    let signal = arrived.si_signo;
    match arrived.si_code {
        libc::SI_USER | libc::SI_TKILL => format!("{signal} plain\n"),
        // SAFETY: sigqueue(3) sets the value.
        libc::SI_QUEUE => format!("{signal} value {}\n", unsafe { arrived.si_value() }.sival_ptr as usize),
        // What else a process may say of a signal that it sends: rt_sigqueueinfo(2).
        code @ ..0 => {
            // SAFETY: the value is at the same place whatever the code, and any word there is one.
            let value = unsafe { arrived.si_value() }.sival_ptr as usize;
            format!("{signal} code {code} value {value}\n")
        }
        // The kernel's own.
        _ => format!("{signal} plain\n"),
    }
}

/// Takes SIGTERM, and exits with CODE then; every other signal has its default action. FILE tells that it is ready.
fn obey(code: c_int, file: &str) -> ! {
    set_mask(1 << (libc::SIGTERM - 1));
    fs::write(file, format!("ready {}\n", std::process::id())).unwrap();
    let left = libc::timespec { tv_sec: LIFETIME as i64, tv_nsec: 0 };
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    while Instant::now() < end {
        // SAFETY: plain structures of the C library's own, which the calls fill.
        unsafe {
            let mut term = std::mem::zeroed();
            libc::sigemptyset(&mut term);
            libc::sigaddset(&mut term, libc::SIGTERM);
            // Interrupted by a stop and a continue, it waits again.
            if libc::sigtimedwait(&term, null_mut(), &left) == libc::SIGTERM {
                exit(code);
            }
        }
    }
    exit(99)
}

/// Says "ready" and takes one SIGTSTP: by a `handler`, by `wait`ing for it, or by `ignore` until a line is read. With
/// `later` it is stopped by it, but only when a line has been read; with `stop` a handler takes it and the process stops
/// itself, as editors do. Says "taken" and becomes the command, which a SIGTSTP stops.
fn take_stop(how: &str, command: &[&CStr]) -> ! {
    extern "C" fn nothing(_: c_int) {}
    let stop = 1 << (libc::SIGTSTP - 1);
    let handler = match how {
        "handler" | "stop" => nothing as extern "C" fn(c_int) as libc::sighandler_t,
        "wait" | "later" => libc::SIG_DFL,
        "ignore" => libc::SIG_IGN,
        other => panic!("{other}"),
    };
    set_mask(stop);
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGTSTP, handler) };
    if how == "ignore" {
        set_mask(0);
    }
    say("ready\n");
    // SAFETY: plain structures of the C library's own, which the calls fill, and a buffer of the length given.
    unsafe {
        libc::alarm(LIFETIME as u32);
        let mut signals: libc::sigset_t = std::mem::zeroed();
        let mut number = 0;
        match how {
            "handler" => drop(libc::sigsuspend(&signals)),
            "stop" => {
                libc::sigsuspend(&signals);
                libc::kill(libc::getpid(), libc::SIGSTOP);
            }
            "wait" => {
                libc::sigaddset(&mut signals, libc::SIGTSTP);
                libc::sigwait(&signals, &mut number);
            }
            _ => drop(libc::read(0, [0_u8; 80].as_mut_ptr().cast(), 80)),
        }
        libc::signal(libc::SIGTSTP, libc::SIG_DFL);
    }
    set_mask(0);
    say("taken\n");
    let words = list(command);
    // SAFETY: a list of C strings, with a null at its end.
    unsafe { libc::execvp(words[0], words.as_ptr()) };
    panic!("{}", std::io::Error::last_os_error());
}

/// Writes to stdout at once.
fn say(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// A server with something to save: on SIGTERM it works for some milliseconds, writes `flushed` to FILE and exits.
fn flush(file: &str, milliseconds: c_int) -> ! {
    set_mask(u64::MAX);
    fs::write(file, "ready\n").unwrap();
    while let Some(arrived) = next_signal() {
        if arrived.si_signo == libc::SIGTERM {
            thread::sleep(Duration::from_millis(milliseconds as u64));
            fs::write(file, "flushed\n").unwrap();
            exit(0);
        }
    }
    exit(99)
}

/// On SIGTERM it leaves a recorder behind, born that very moment and in a session of its own, and ends.
fn bequeath(file: &str) -> ! {
    set_mask(u64::MAX);
    fs::write(file, "ready\n").unwrap();
    while let Some(arrived) = next_signal() {
        if arrived.si_signo == libc::SIGTERM {
            if fork() == 0 {
                set_session();
                record(file, None)
            }
            exit(0);
        }
    }
    exit(99)
}

/// Sleeps until a signal with its default action ends it.
fn hold() -> ! {
    // SAFETY: waits for a signal, no more.
    unsafe {
        libc::alarm(LIFETIME as u32);
        loop {
            libc::pause();
        }
    }
}

/// The PID 1 that a test keeps a namespace with: takes in the orphans of others.
fn keep() -> ! {
    // The kernel reaps for who ignores it: wait(2). Signals without a handler do not reach PID 1.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    hold()
}

/// The mask and the ignored signals, as the kernel has them: the C library's calls hide 32 and 33.
fn state() -> String {
    let mut mask = 0_u64;
    // SAFETY: reads the mask into eight bytes, the size of the kernel's.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, null::<u64>(), &raw mut mask, 8) };
    assert_eq!(result, 0);
    let blocked: Vec<u32> = (1..=64).filter(|number| mask >> (number - 1) & 1 == 1).collect();
    let ignored: Vec<c_int> = (1..=64).filter(|number| is_ignored(*number)).collect();
    format!("blocked {blocked:?}\nignored {ignored:?}\n")
}

fn is_ignored(signal: c_int) -> bool {
    // The kernel's structure begins with the handler on every architecture, and is smaller than this.
    let mut action = [0_usize; 16];
    // SAFETY: reads the action into a buffer that is large enough.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, null::<usize>(), action.as_mut_ptr(), 8) };
    assert_eq!(result, 0, "signal {signal}");
    action[0] == libc::SIG_IGN
}

/// What a process gets from the one before it, a line each, but for the signals' part, which is [`state`].
fn facts() -> String {
    // SAFETY: F_GETFD only looks.
    let descriptors: Vec<c_int> =
        (0..4096).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1).collect();
    // SAFETY: umask(2) cannot fail; the second call restores it.
    let umask = unsafe {
        let umask = libc::umask(0o777);
        libc::umask(umask);
        umask
    };
    let limits: Vec<_> = (0..16)
        .map(|resource| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the C library fills the structure.
            unsafe { libc::getrlimit(resource, &mut limit) };
            (limit.rlim_cur, limit.rlim_max)
        })
        .collect();
    let mut text = format!("descriptors {descriptors:?}\numask {umask:o}\nlimits {limits:?}\n");
    // SAFETY: these take and change nothing.
    let (pid, group, session, parent) = unsafe { (libc::getpid(), libc::getpgid(0), libc::getsid(0), libc::getppid()) };
    text += &format!("pid {pid}\ngroup {group}\nsession {session}\nparent {parent}\n");
    text += &format!(
        "directory {}\n",
        std::env::current_dir().map_or_else(|error| error.to_string(), |path| path.display().to_string())
    );
    text += &state();
    let mut at = environ();
    // SAFETY: environ(7): C strings, the last pointer is null.
    unsafe {
        while !(*at).is_null() {
            text += &format!("variable {}\n", hex(CStr::from_ptr(*at).to_bytes()));
            at = at.add(1);
        }
    }
    text
}

fn environ() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes the environment.
    unsafe { environ }
}

/// `ignore:1,2;block:17,40` for this process, then the command.
fn inherit(states: &str, command: &[&CStr]) -> ! {
    let mut mask = 0_u64;
    for (what, list) in states.split(';').filter_map(|state| state.split_once(':')) {
        for signal in list.split(',').map(|number| number.parse::<c_int>().unwrap()) {
            match what {
                // SAFETY: no handler is installed.
                "ignore" => assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR),
                "block" => mask |= 1 << (signal - 1),
                other => panic!("{other}"),
            }
        }
    }
    set_mask(mask);
    let words = list(command);
    // SAFETY: a list of C strings, with a null at its end.
    unsafe { libc::execv(words[0], words.as_ptr()) };
    panic!("{}", std::io::Error::last_os_error());
}

/// Leaves that many orphans behind, which end at once, and ends when the last has been made.
fn orphans(count: c_int) {
    for _ in 0..count {
        orphan();
    }
}

/// Makes orphans until it is killed, and keeps their number so far in FILE.
fn storm(file: &str) -> ! {
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    for round in 1_u32.. {
        orphan();
        if round % 50 == 0 {
            // Written at once: readers never see half of it.
            File::create(format!("{file}.new")).unwrap().write_all(round.to_string().as_bytes()).unwrap();
            fs::rename(format!("{file}.new"), file).unwrap();
        }
        if Instant::now() > end {
            break;
        }
    }
    exit(99)
}

/// A grandchild that ends when its parent has gone, so that it is an orphan first and a zombie then.
fn orphan() {
    match fork() {
        0 => {
            let parent = std::process::id();
            if fork() == 0 {
                // SAFETY: takes and changes nothing.
                while unsafe { libc::getppid() } as u32 == parent {
                    thread::yield_now();
                }
            }
            // SAFETY: ends at once, without this program's own clean-up.
            unsafe { libc::_exit(0) }
        }
        child => {
            // SAFETY: waits for a child of this process.
            unsafe { libc::waitpid(child, null_mut(), 0) };
        }
    }
}

/// A bad parent: leaves zombies that it does not wait for, and says so in FILE.
fn hoard(count: c_int, file: &str) -> ! {
    for _ in 0..count {
        if fork() == 0 {
            // SAFETY: ends at once, without this program's own clean-up.
            unsafe { libc::_exit(0) }
        }
    }
    fs::write(file, "ready\n").unwrap();
    hold()
}

fn set_session() {
    // SAFETY: takes no argument.
    assert_ne!(unsafe { libc::setsid() }, -1);
}

fn fork() -> libc::pid_t {
    loop {
        // SAFETY: this program has one thread.
        match unsafe { libc::fork() } {
            // A limit on processes: some are about to end.
            -1 => thread::yield_now(),
            pid => return pid,
        }
    }
}

/// Moves this process out of the group that was made for it, into one of a child of its own.
fn leave_group() {
    let child = fork();
    if child == 0 {
        hold();
    }
    // SAFETY: numbers only.
    unsafe {
        assert_eq!(libc::setpgid(child, child), 0);
        assert_eq!(libc::setpgid(0, child), 0);
    }
}

/// Is killed by a signal, which has its default action here, without a core file.
fn die(signal: c_int) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a plain structure; no handler is installed.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::signal(signal, libc::SIG_DFL);
    }
    set_mask(0);
    // SAFETY: numbers only.
    unsafe { libc::kill(libc::getpid(), signal) };
    panic!("survived {signal}");
}

/// Queues a signal that many times, with values from 0 up.
fn queue(pid: c_int, signal: c_int, count: c_int) {
    for value in 0..count {
        let value = libc::sigval { sival_ptr: value as usize as *mut libc::c_void };
        // SAFETY: numbers only; the value is not looked behind.
        assert_eq!(unsafe { libc::sigqueue(pid, signal, value) }, 0);
    }
}

/// Sets the kernel's own mask: the C library's call keeps 32 and 33 out of it.
fn set_mask(mask: u64) {
    // SAFETY: reads eight bytes, the size of the kernel's mask.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, null_mut::<u64>(), 8) };
    assert_eq!(result, 0);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bad parent, one zombie of which has this name, in any bytes, as the parent has.
fn hoard_named(name: &CStr, file: &str) -> ! {
    // SAFETY: a C string, of which the kernel takes the first 15 bytes. The child inherits it.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }, 0);
    hoard(1, file)
}

/// Becomes the command when SIGUSR1 comes: the time to attach a tracer, who then sees the command from its exec on.
fn held(command: &[&CStr]) -> ! {
    static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(null_mut());
    extern "C" fn go(_: c_int) {
        let words = WORDS.load(Ordering::Relaxed);
        // SAFETY: a list of C strings, with a null at its end; execve(2) may be called by a handler.
        unsafe {
            libc::execv(*words, words);
            libc::_exit(98);
        }
    }
    WORDS.store(list(command).leak().as_mut_ptr(), Ordering::Relaxed);
    // SAFETY: an all-zero sigaction is a valid one; the handler does what a handler may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = go as extern "C" fn(c_int) as libc::sighandler_t;
        // The command inherits the handler's mask: nothing is to be added to it.
        action.sa_flags = libc::SA_NODEFER;
        libc::sigaction(libc::SIGUSR1, &action, null_mut());
    }
    hold()
}

/// A shell with job control, whose one job is the command: gives it the terminal (stdin), and continues it, with the
/// terminal, when it stops. With the variable PATIENT it leaves that to others. Exits with the job's exit code.
fn job(command: &[&CStr]) -> ! {
    let give_to = |group: c_int| {
        // SAFETY: numbers only. A shell ignores SIGTTOU, so that a background group may do it too.
        unsafe {
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetpgrp(0, group);
        }
    };
    let child = fork();
    if child == 0 {
        let words = list(command);
        // SAFETY: numbers, and a list of C strings with a null at its end.
        unsafe {
            libc::setpgid(0, 0);
            give_to(libc::getpid());
            libc::signal(libc::SIGTTOU, libc::SIG_DFL);
            libc::execv(words[0], words.as_ptr());
            libc::_exit(98);
        }
    }
    loop {
        let mut status = 0;
        // SAFETY: the status is a live int; the rest is numbers.
        unsafe {
            libc::waitpid(child, &mut status, libc::WUNTRACED);
            if !libc::WIFSTOPPED(status) {
                exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) });
            }
            if std::env::var_os("PATIENT").is_none() {
                give_to(libc::getpgrp());
                give_to(child);
                libc::kill(-child, libc::SIGCONT);
            }
        }
    }
}

/// A main child that gives its init one of everything to do: orphans, a plain signal and a queued one to forward, and
/// a process to be asked to end in the grace period. Writes to FILE what came of it and exits with 7, come what may. It
/// waits that many milliseconds for each thing, which a fault may have swallowed.
fn exercise(file: &str, milliseconds: c_int) -> ! {
    set_mask(u64::MAX);
    // SAFETY: takes and changes nothing.
    let (own, init) = unsafe { (libc::getpid(), libc::getppid()) };
    if fork() == 0 {
        while next_signal().is_some_and(|arrived| arrived.si_signo != libc::SIGTERM) {}
        exit(0);
    }
    let soon = || Instant::now() + Duration::from_millis(milliseconds as u64);
    orphans(2);
    let children = format!("/proc/{init}/task/{init}/children");
    let is_alone = || fs::read_to_string(&children).is_ok_and(|list| list.trim() == own.to_string());
    let end = soon();
    while !is_alone() && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    let mut came = String::new();
    if is_alone() {
        came += "reaped\n";
    }
    queue(init, 40, 1);
    // SAFETY: numbers only.
    unsafe { libc::kill(init, libc::SIGUSR1) };
    let end = soon();
    while !(came.contains("10 plain") && came.contains("40 value")) && Instant::now() < end {
        // SAFETY: plain structures of the C library's own, which the calls fill.
        unsafe {
            let (mut all, mut arrived) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            let short = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            if libc::sigtimedwait(&all, &mut arrived, &short) > 0 {
                came += &line(&arrived);
            }
        }
    }
    fs::write(file, came).unwrap();
    // SAFETY: ends at once.
    unsafe { libc::_exit(7) }
}

/// A main child that stops as Ctrl-Z has it, then by a stop that its init forwards, and exits with 7. Somebody
/// continues it: whoever should, or else a helper of its own.
fn exercise_terminal() -> ! {
    // SAFETY: numbers only.
    unsafe {
        let (own, init) = (libc::getpid(), libc::getppid());
        // The helper is in the same group, and must not stop.
        libc::signal(libc::SIGTSTP, libc::SIG_IGN);
        if fork() == 0 {
            let is_orphan = || libc::getppid() != own;
            for round in 1_u32.. {
                thread::sleep(Duration::from_millis(40));
                if is_orphan() {
                    libc::_exit(0);
                }
                libc::kill(if round % 4 == 0 { own } else { init }, libc::SIGCONT);
            }
        }
        libc::signal(libc::SIGTSTP, libc::SIG_DFL);
        libc::kill(own, libc::SIGTSTP);
        libc::kill(init, libc::SIGWINCH);
        libc::kill(init, libc::SIGTSTP);
        thread::sleep(Duration::from_millis(20));
        libc::_exit(7)
    }
}

/// The words as execve(2) takes them.
fn list(words: &[&CStr]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([null()]).collect()
}
