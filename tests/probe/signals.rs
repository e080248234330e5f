//! Processes that take signals, and one that sends them: one writes each of them down, others end, stop or clean up on one.

use std::ffi::{CStr, c_int};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::exit;
use std::ptr::null_mut;
use std::thread;
use std::time::{Duration, Instant};

use crate::{LIFETIME, fork, list, set_mask, set_session};

/// Takes every signal and writes a line for each: its number, then `plain` or the value it was queued with. The first
/// line is `ready PID`. Nothing but SIGKILL ends it, or the signal given, with the code given.
pub fn record(file: &str, last: Option<(c_int, c_int)>) -> ! {
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
pub fn next_signal() -> Option<libc::siginfo_t> {
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

pub fn line(arrived: &libc::siginfo_t) -> String {
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
pub fn obey(code: c_int, file: &str) -> ! {
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
/// itself, as editors do. With `yield` it gives the terminal to its parent's group, and then waits. Says "taken" and
/// becomes the command, which a SIGTSTP stops.
pub fn take_stop(how: &str, command: &[&CStr]) -> ! {
    extern "C" fn nothing(_: c_int) {}
    let stop = 1 << (libc::SIGTSTP - 1);
    let handler = match how {
        "handler" | "stop" => nothing as extern "C" fn(c_int) as libc::sighandler_t,
        "wait" | "later" | "yield" => libc::SIG_DFL,
        "ignore" => libc::SIG_IGN,
        other => panic!("{other}"),
    };
    if how == "yield" {
        set_mask(1 << (libc::SIGTTOU - 1));
        // SAFETY: numbers only.
        unsafe { libc::tcsetpgrp(0, libc::getpgid(libc::getppid())) };
    }
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
            "wait" | "yield" => {
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
pub fn flush(file: &str, milliseconds: c_int) -> ! {
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
pub fn bequeath(file: &str) -> ! {
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
pub fn hold() -> ! {
    // SAFETY: waits for a signal, no more.
    unsafe {
        libc::alarm(LIFETIME as u32);
        loop {
            libc::pause();
        }
    }
}

/// The PID 1 that a test keeps a namespace with: takes in the orphans of others.
pub fn keep() -> ! {
    // The kernel reaps for who ignores it: wait(2). Signals without a handler do not reach PID 1.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    hold()
}

/// Moves this process out of the group that was made for it, into one of a child of its own.
pub fn leave_group() {
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
pub fn die(signal: c_int) {
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
pub fn queue(pid: c_int, signal: c_int, count: c_int) {
    for value in 0..count {
        let value = libc::sigval { sival_ptr: value as usize as *mut libc::c_void };
        // SAFETY: numbers only; the value is not looked behind.
        assert_eq!(unsafe { libc::sigqueue(pid, signal, value) }, 0);
    }
}
