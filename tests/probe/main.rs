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
use std::fs;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::Duration;

mod inherited;
mod offspring;
mod scenarios;
mod signals;

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
        "die" => signals::die(number(2)),
        "hold" => signals::hold(),
        // wait MILLISECONDS
        "wait" => thread::sleep(Duration::from_millis(number(2) as u64)),
        // exists FILE
        "exists" => return c_int::from(!fs::exists(text(2)).unwrap()),
        "keep" => signals::keep(),
        // record FILE [SIGNAL CODE]: exits with CODE on SIGNAL
        "record" => signals::record(text(2), (words.len() > 3).then(|| (number(3), number(4)))),
        "record-elsewhere" => {
            signals::leave_group();
            signals::record(text(2), None)
        }
        // obey CODE FILE: as most programs, it stops when it is told to, and ends in order on SIGTERM
        "obey" => signals::obey(number(2), text(3)),
        // As a daemon does it: a child in a session of its own, whose parent is gone.
        "record-detached" => {
            if fork() == 0 {
                set_session();
                signals::record(text(2), None)
            }
        }
        // Gives stdin and stdout back and lives on.
        "close-output" => {
            for descriptor in [0, 1] {
                // SAFETY: nothing in this program uses them from here on.
                unsafe { libc::close(descriptor) };
            }
            signals::record(text(2), None)
        }
        // take-stop HOW COMMAND...
        "take-stop" => signals::take_stop(text(2), &words[3..]),
        "flush" => signals::flush(text(2), number(3)),
        // flush-later FILE MILLISECONDS: the same without being asked
        "flush-later" => {
            thread::sleep(Duration::from_millis(number(3) as u64));
            fs::write(text(2), "flushed\n").unwrap();
        }
        "bequeath" => signals::bequeath(text(2)),
        "queue" => signals::queue(number(2), number(3), number(4)),
        "state" => print!("{}", inherited::state()),
        "facts" => fs::write(text(2), inherited::facts()).unwrap(),
        "arguments" => words.iter().for_each(|word| println!("{}", hex(word.to_bytes()))),
        "inherit" => inherited::inherit(text(2), &words[3..]),
        "orphans" => offspring::orphans(number(2)),
        "storm" => offspring::storm(text(2)),
        "hoard" => offspring::hoard(number(2), text(3)),
        // hoard-named NAME FILE
        "hoard-named" => offspring::hoard_named(words[2], text(3)),

        "held" => scenarios::held(&words[2..]),
        "job" => scenarios::job(&words[2..]),
        // exercise FILE [MILLISECONDS]
        "exercise" => scenarios::exercise(text(2), if words.len() > 3 { number(3) } else { 300 }),
        "exercise-terminal" => scenarios::exercise_terminal(),
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
        // with-zombie COMMAND...
        "with-zombie" => inherited::with_zombie(&words[2..]),
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

/// The words as execve(2) takes them.
fn list(words: &[&CStr]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([null()]).collect()
}
