//! What rinit does instead of being an init: `--install`, `--zombies`, and printing a text.

pub(crate) mod install;
pub(crate) mod zombies;

use libc::STDOUT_FILENO;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::OneShot;
use crate::error::Error;
use crate::signal::{self, Signal, SignalSet};
use crate::sys::{self, descriptor, process};

/// Runs a one-shot mode. Returns the exit code. The signals that end any other program end this one
/// too. Out of line, so that init does not keep its stack frame.
///
/// # Errors
/// As for [`print()`], [`install::install`] and [`zombies::list`].
#[inline(never)]
pub(crate) fn run(one_shot: OneShot, mask: Result<SignalSet, Errno>) -> Result<u8, Error> {
    let installs = matches!(one_shot, OneShot::Install(_));
    if installs || process::own_pid() == 1 {
        // The kernel drops a signal that PID 1 does not handle: see pid_namespaces(7). A copy that
        // is not complete has to be removed.
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let _ = sys::signal::exit_on(signal.number());
        }
    }
    if installs {
        // A limit on the size of a file is an error then: see setrlimit(2).
        let _ = Signal::XFSZ.set_ignored(true);
    }
    if let Ok(mask) = mask {
        let _ = signal::set_mask(mask);
    }
    match one_shot {
        OneShot::Print(text) => print(text.as_bytes()).map(|()| 0),
        OneShot::Install(path) => install::install(&path).map(|()| 0),
        OneShot::Zombies => zombies::list(),
    }
}

/// Writes all of a text to stdout, and waits for its reader.
///
/// # Errors
/// [`Error::Failed`] with the error of write(2).
pub(crate) fn print(text: &[u8]) -> Result<(), Error> {
    let (stdout, mut rest) = (descriptor::standard(STDOUT_FILENO), text);
    while !rest.is_empty() {
        match nix::unistd::write(stdout, rest) {
            Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Another process that shares the open file may have set O_NONBLOCK.
            Err(Errno::EAGAIN) => drop(poll(&mut [PollFd::new(stdout, PollFlags::POLLOUT)], PollTimeout::NONE)),
            result => return Err(Error::Failed("cannot write to stdout".into(), result.err().unwrap_or(Errno::EIO))),
        }
    }
    Ok(())
}
