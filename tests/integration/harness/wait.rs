//! Waiting for conditions, with a deadline.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use super::runner::time_limit;

/// How long a condition may take on a slow machine before a test calls it broken. A machine that is emulated is slower by
/// a factor: it gets a tenth of what a whole test gets.
fn timeout() -> Duration {
    time_limit() / 10
}

/// How often a condition is looked at in that time. A machine that is overloaded, or stands still for a while, looks less
/// often and gets more time.
const LOOKS: u32 = 1_000;

/// How long a condition is waited for.
pub struct Deadline {
    start: Instant,
    looks: u32,
}

impl Deadline {
    pub fn new() -> Self {
        Self { start: Instant::now(), looks: 0 }
    }

    /// Sleeps a little, which only keeps the wait from burning a processor. Returns false if the time is over.
    pub fn allows_another_look(&mut self) -> bool {
        thread::sleep(Duration::from_millis(2));
        self.looks += 1;
        let elapsed = self.start.elapsed();
        elapsed < timeout() || (self.looks < LOOKS && elapsed < 5 * timeout())
    }
}

/// Waits for a condition.
pub fn wait_until<T>(what: impl fmt::Display, mut condition: impl FnMut() -> Option<T>) -> T {
    let mut deadline = Deadline::new();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(deadline.allows_another_look(), "waited in vain for {what}");
    }
}

/// Reads a pipe until nobody holds its other end.
pub fn read_to_end(pipe: &mut (impl io::Read + AsRawFd)) -> Vec<u8> {
    // SAFETY: this side's description is this process's alone.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let mut all = Vec::new();
    wait_until("end-of-file", || {
        let mut part = [0; 4096];
        match pipe.read(&mut part) {
            Ok(0) => return Some(()),
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        None
    });
    all
}
