//! A process that becomes its command on a signal, a shell's job, and main children that give their init one of everything to do.

use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::process::exit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::offspring::orphans;
use crate::signals::{hold, line, next_signal, queue};
use crate::{fork, list, set_mask};

/// Becomes the command when SIGUSR1 comes: the time to attach a tracer, who then sees the command from its exec on.
pub fn held(command: &[&CStr]) -> ! {
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
pub fn job(command: &[&CStr]) -> ! {
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
pub fn exercise(file: &str, milliseconds: c_int) -> ! {
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
pub fn exercise_terminal() -> ! {
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
