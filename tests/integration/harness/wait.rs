//! Waiting for conditions, with a deadline.

use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use super::runner::time_limit;

/// How long a condition may take on a slow machine before a test calls it broken. A machine that is emulated is slower by
/// a factor: it gets a tenth of what a whole test gets.
pub fn timeout() -> Duration {
    time_limit() / 10
}

/// Waits for a condition. The short sleep only keeps the wait from burning a processor.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < timeout(), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
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
