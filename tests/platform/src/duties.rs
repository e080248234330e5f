//! The programs that run below rinit: `platform-checks do DUTY ARGS...`. None outlives [`LIFETIME`].

use std::ffi::{CStr, c_char, c_int};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::process::exit;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use crate::signals::{describe, ignore_none, ignored, mask, mask_of, next, set_mask, signals_of};

/// How long the longest duty lasts.
const LIFETIME: Duration = Duration::from_secs(600);

/// What a duty exits with if its time is over.
const TOO_LATE: c_int = 99;

/// Does what the first word says, with the words after it.
pub fn perform(duty: &str, words: &[&'static CStr]) -> c_int {
    let text = |at: usize| words.get(at).and_then(|word| word.to_str().ok()).unwrap_or("");
    let number = |at: usize| -> c_int { text(at).parse().unwrap_or_else(|_| panic!("{duty} needs a number")) };
    match duty {
        // exit CODE
        "exit" => return number(0),
        // die SIGNAL
        "die" => die(number(0)),
        "hold" => hold(),
        // record FILE [SIGNAL CODE]: exits with CODE on SIGNAL
        "record" => record(text(0), (words.len() > 1).then(|| (number(1), number(2)))),
        // record-with FILE OTHER: and another process of the same group records to OTHER
        "record-with" => {
            if fork() == 0 {
                record(text(1), None)
            }
            record(text(0), None)
        }
        // record-beside-daemon FILE OTHER: OTHER's is in a session of its own, and its parent has ended
        "record-beside-daemon" => {
            orphan(|| {
                lead_session();
                record(text(1), None)
            });
            record(text(0), None)
        }
        // record-elsewhere FILE: from another group than the one that rinit made
        "record-elsewhere" => {
            leave_group();
            record(text(0), None)
        }
        // leave FILE MILLISECONDS CODE: leaves a process behind that saves its data when it is asked to end
        "leave" => {
            if fork() == 0 {
                save(text(0), Duration::from_millis(number(1) as u64))
            }
            wait_for_file(text(0));
            return number(2);
        }
        // leave-deaf FILE CODE: leaves a process behind that only SIGKILL ends
        "leave-deaf" => {
            if fork() == 0 {
                record(text(0), None)
            }
            wait_for_file(text(0));
            return number(1);
        }
        // daemonise FILE MILLISECONDS CODE: the process that is left writes FILE after that time
        "daemonise" => {
            orphan(|| {
                lead_session();
                thread::sleep(Duration::from_millis(number(1) as u64));
                write(text(0), "served\n");
            });
            return number(2);
        }
        // orphans COUNT FILE: then records to FILE
        "orphans" => {
            (0..number(0)).for_each(|_| orphan(|| ()));
            record(text(1), Some((libc::SIGTERM, 7)))
        }
        // hoard COUNT FILE: a bad parent, who does not wait
        "hoard" => hoard(number(0), text(1)),
        // signals FILE: the mask and what is ignored
        "signals" => write(text(0), &format!("blocked {:?} ignored {:?}\n", signals_of(mask()), ignored())),
        // inherit blocked:LIST;ignored:LIST COMMAND...: with this mask, and these signals ignored
        "inherit" => inherit(text(0), &words[1..]),
        // arguments FILE ARGS...: in hexadecimal, a line each
        "arguments" => write(text(0), &words[1..].iter().map(|word| hex(word.to_bytes()) + "\n").collect::<String>()),
        // environment FILE: its own pid, then the variables
        "environment" => write(text(0), &environment()),
        // descriptors FILE
        "descriptors" => write(text(0), &format!("{:?}\n", descriptors())),
        // echo: a line for each line, until end-of-file
        "echo" => echo(),
        // job COMMAND...: a shell with job control and this one job
        "job" => job(text(0), &words[1..]),
        // abandon FILE COMMAND...: starts the command and ends when FILE is there
        "abandon" => abandon(text(0), &words[1..]),
        other => panic!("there is no duty {other}"),
    }
    0
}

/// Takes every signal and appends a line for each to a file. The first line is `ready`.
fn record(file: &str, last: Option<(c_int, c_int)>) -> ! {
    set_mask(u64::MAX);
    let mut log = OpenOptions::new().create(true).append(true).open(file).expect("the file of a recorder");
    // One write a line, so that readers never see half of one.
    let mut say = |line: String| log.write_all(line.as_bytes()).expect("room for a line");
    say("ready\n".into());
    while let Some(arrived) = next(LIFETIME) {
        say(describe(&arrived) + "\n");
        if let Some((signal, code)) = last
            && signal == arrived.si_signo
        {
            exit(code);
        }
    }
    exit(TOO_LATE)
}

/// On SIGTERM it works for some time, writes `saved` to the file and exits.
fn save(file: &str, time: Duration) -> ! {
    set_mask(u64::MAX);
    write(file, "ready\n");
    while let Some(arrived) = next(LIFETIME) {
        if arrived.si_signo == libc::SIGTERM {
            thread::sleep(time);
            write(file, "saved\n");
            exit(0);
        }
    }
    exit(TOO_LATE)
}

/// Is killed by a signal, which has its default action here, without a core file.
fn die(signal: c_int) -> ! {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a plain structure.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    ignore_none();
    set_mask(0);
    // SAFETY: numbers only.
    unsafe { libc::kill(libc::getpid(), signal) };
    // Emulators deliver it a little later.
    thread::sleep(Duration::from_secs(20));
    exit(TOO_LATE)
}

/// Waits for a signal whose default action ends it.
fn hold() -> ! {
    // SAFETY: waits for a signal, no more.
    unsafe {
        libc::alarm(LIFETIME.as_secs() as u32);
        loop {
            libc::pause();
        }
    }
}

/// Leaves zombies, and says so in the file.
fn hoard(count: c_int, file: &str) -> ! {
    for _ in 0..count {
        if fork() == 0 {
            leave_at_once()
        }
    }
    write(file, "ready\n");
    hold()
}

/// Has a process do something as an orphan: its parent has ended before it begins.
fn orphan(what: impl FnOnce()) {
    let child = fork();
    if child == 0 {
        // SAFETY: takes and changes nothing.
        let parent = unsafe { libc::getpid() };
        if fork() == 0 {
            // SAFETY: takes and changes nothing.
            while unsafe { libc::getppid() } == parent {
                thread::yield_now();
            }
            what();
        }
        leave_at_once()
    }
    // SAFETY: waits for a child of this process.
    unsafe { libc::waitpid(child, null_mut(), 0) };
}

/// Ends this process without its clean-up.
fn leave_at_once() -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(0) }
}

fn fork() -> libc::pid_t {
    // SAFETY: this program has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "cannot fork: {}", std::io::Error::last_os_error());
    pid
}

fn lead_session() {
    // SAFETY: changes this process alone.
    assert!(unsafe { libc::setsid() } > 0, "cannot lead a session");
}

/// Moves this process into the group of a child.
fn leave_group() {
    let child = fork();
    if child == 0 {
        hold();
    }
    // SAFETY: numbers only.
    let results = unsafe { [libc::setpgid(child, child), libc::setpgid(0, child)] };
    assert_eq!(results, [0, 0], "cannot change the group");
}

/// Becomes the command, with another mask and other ignored signals.
fn inherit(states: &str, command: &[&CStr]) -> ! {
    for (what, list) in states.split(';').filter_map(|state| state.split_once(':')) {
        let signals: Vec<c_int> = list.split(',').filter_map(|number| number.parse().ok()).collect();
        match what {
            "ignored" => signals.iter().for_each(|signal| crate::signals::ignore(*signal)),
            _ => set_mask(mask_of(&signals)),
        }
    }
    execute(command)
}

fn execute(command: &[&CStr]) -> ! {
    let words: Vec<*const c_char> = command.iter().map(|word| word.as_ptr()).chain([null()]).collect();
    // SAFETY: a list of C strings, with a null at its end.
    unsafe { libc::execv(words[0], words.as_ptr()) };
    panic!("cannot run {:?}: {}", command[0], std::io::Error::last_os_error());
}

fn environment() -> String {
    // SAFETY: takes and changes nothing.
    let mut text = format!("pid {}\n", unsafe { libc::getpid() });
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: environ(7): C strings, and the last pointer is null. Nothing here changes it.
    unsafe {
        let mut at = environ;
        while !(*at).is_null() {
            text += &format!("{}\n", String::from_utf8_lossy(CStr::from_ptr(*at).to_bytes()));
            at = at.add(1);
        }
    }
    text
}

fn descriptors() -> Vec<c_int> {
    // SAFETY: F_GETFD only looks.
    (0..256).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Written under another name first, so that readers never see half of it.
fn write(file: &str, text: &str) {
    let new = format!("{file}.new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).expect("room for a file");
}

fn wait_for_file(file: &str) {
    let end = Instant::now() + LIFETIME;
    while !fs::exists(file).unwrap_or(false) && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Answers each line with `got LINE`.
fn echo() {
    let (mut line, mut byte) = (Vec::new(), [0]);
    println!("ready");
    while let Ok(1) = std::io::stdin().read(&mut byte) {
        match byte[0] {
            b'\n' => {
                println!("got {}", String::from_utf8_lossy(&line));
                line.clear();
            }
            other => line.push(other),
        }
    }
}

/// Gives its job the terminal, which is stdin. If the job stops it takes the terminal back, says `stopped` in the file,
/// waits for a line from the terminal, and continues the job in the foreground. Exits with the job's exit code.
fn job(file: &str, command: &[&CStr]) -> ! {
    let give_to = |group: c_int| {
        // SAFETY: numbers only. A shell ignores SIGTTOU, so that a background group may do it too.
        unsafe {
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetpgrp(0, group);
        }
    };
    let child = fork();
    if child == 0 {
        // SAFETY: numbers only.
        unsafe {
            libc::setpgid(0, 0);
            give_to(libc::getpid());
            libc::signal(libc::SIGTTOU, libc::SIG_DFL);
        }
        execute(command)
    }
    loop {
        let mut status = 0;
        // SAFETY: the status is a live int, and the rest is numbers.
        unsafe { libc::waitpid(child, &mut status, libc::WUNTRACED) };
        if libc::WIFEXITED(status) {
            exit(libc::WEXITSTATUS(status));
        } else if libc::WIFSIGNALED(status) {
            exit(128 + libc::WTERMSIG(status));
        }
        // SAFETY: takes and changes nothing.
        give_to(unsafe { libc::getpgrp() });
        write(file, "stopped\n");
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|length| length == 1) && byte[0] != b'\n' {}
        fs::remove_file(file).expect("the file that was just written");
        give_to(child);
        // SAFETY: numbers only.
        unsafe { libc::kill(-child, libc::SIGCONT) };
    }
}

/// A parent that ends before its child.
fn abandon(file: &str, command: &[&CStr]) {
    if fork() == 0 {
        execute(command)
    }
    wait_for_file(file);
}
