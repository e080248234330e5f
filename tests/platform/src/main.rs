//! Checks of rinit that run on every platform: natively, in a user-mode emulator, and under a real kernel.
//!
//! One static program is both the checks and the programs that run below rinit, so an empty root is enough for it, with
//! /proc, /dev/pts and /tmp. Rust's own start-up is left out: it ignores SIGPIPE and opens closed standard descriptors,
//! and both are things to check.

#![no_main]

mod checks;
mod duties;
mod harness;
mod pty;
mod signals;

use std::ffi::{CStr, c_char, c_int};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::exit;
use std::time::Duration;

use checks::CHECKS;
use harness::{Role, Suite, Verdict};

const USAGE: &str = "usage: platform-checks list
       platform-checks run --rinit PATH [--runner WORD]... [--skip ROLE/CHECK]... [--limit SECONDS] [--clock SECONDS]
                           [ROLE/CHECK...]

--runner is put before rinit and every command, as a user-mode emulator is. --skip is for what an emulator cannot do. --limit is for each
check. --clock sets the machine's clock, in seconds since 1970: for a machine of its own.";

/// What the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings that stay for the life of the process: execve(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let words: Vec<&'static CStr> = (0..usize::try_from(argc).unwrap_or(0))
        .map(|index| {
            // SAFETY: below argc, so it is a C string: the caller's promise.
            unsafe { CStr::from_ptr(*argv.add(index)) }
        })
        .collect();
    let text: Vec<&'static str> = words.iter().map(|word| word.to_str().unwrap_or("?")).collect();
    match text.get(1..).unwrap_or_default() {
        ["list"] => list(),
        ["run", options @ ..] => run(text[0], options),
        ["do", duty, ..] => duties::perform(duty, &words[3..]),
        _ => usage(""),
    }
}

fn usage(fault: &str) -> ! {
    eprintln!("{fault}{USAGE}");
    exit(125)
}

/// Every check with every role that it is for, by name.
fn all() -> impl Iterator<Item = (String, Role, &'static checks::Check)> {
    CHECKS.iter().flat_map(|check| check.roles.iter().map(move |role| (format!("{role}/{}", check.name), *role, check)))
}

fn list() -> ! {
    all().for_each(|(name, ..)| println!("{name}"));
    exit(0)
}

/// Runs what was asked for and prints a line for each check.
fn run(own: &str, options: &[&'static str]) -> ! {
    let (mut rinit, mut runner, mut skipped, mut only) = (None, vec![], vec![], vec![]);
    let mut limit = Duration::from_secs(300);
    let seconds = |word: &str| word.parse().unwrap_or_else(|_| usage(&format!("{word} is no number of seconds\n")));
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().unwrap_or_else(|| usage(&format!("{word} needs a value\n")));
        match *word {
            "--rinit" => rinit = Some(value()),
            "--runner" => runner.push(value()),
            "--skip" => skipped.push(value()),
            "--limit" => {
                limit = Duration::from_secs(seconds(value()));
            }
            "--clock" => set_clock(seconds(value())),
            name => only.push(name),
        }
    }
    let Some(rinit) = rinit else { usage("--rinit is missing\n") };
    if let Some(unknown) = skipped.iter().chain(&only).find(|name| !all().any(|(known, ..)| known == **name)) {
        usage(&format!("there is no check {unknown}\n"));
    }
    let suite = Suite::new(own, rinit, &runner, limit);
    let mut counts = [0; 3];
    for (name, role, check) in all().filter(|(name, ..)| only.is_empty() || only.contains(&&**name)) {
        let (verdict, seconds) = if skipped.contains(&&*name) {
            (Verdict::Skipped("as asked".into()), 0.0)
        } else {
            suite.run(role, check.run)
        };
        let (kind, word, message) = match verdict {
            Verdict::Good => (0, "ok", String::new()),
            Verdict::Failed(why) => (1, "FAILED", why),
            Verdict::Skipped(why) => (2, "skipped", why),
        };
        counts[kind] += 1;
        // One write a line, so that a serial line does not mix it with the kernel's own.
        let mut line = String::new();
        let message = message.replace(['\n', '\t'], " ");
        let _ = writeln!(line, "{word}\t{name}\t{seconds:.2}\t{message}");
        let _ = std::io::stdout().write_all(line.as_bytes());
    }
    println!("checks: {} ok, {} failed, {} skipped", counts[0], counts[1], counts[2]);
    exit(c_int::from(counts[1] > 0))
}

/// Sets the machine's clock. The system call is the one whose seconds have 64 bits on every platform.
fn set_clock(seconds: u64) {
    #[cfg(target_pointer_width = "32")]
    const CLOCK_SETTIME: libc::c_long = 404; // clock_settime64, which the libc crate does not have everywhere
    #[cfg(target_pointer_width = "64")]
    const CLOCK_SETTIME: libc::c_long = libc::SYS_clock_settime;
    let time = [seconds, 0];
    // SAFETY: the kernel reads two numbers of 64 bits.
    let result = unsafe { libc::syscall(CLOCK_SETTIME, libc::CLOCK_REALTIME, time.as_ptr()) };
    assert_eq!(result, 0, "cannot set the clock: {}", std::io::Error::last_os_error());
}
