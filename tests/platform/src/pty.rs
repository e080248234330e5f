//! A pseudo-terminal: keys go in on this side, and what appears on it is read here.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::harness::wait_until;

/// Ctrl-C.
pub const CTRL_C: &str = "\x03";
/// Ctrl-\.
pub const CTRL_BACKSLASH: &str = "\x1c";
/// Ctrl-Z.
pub const CTRL_Z: &str = "\x1a";
/// Ctrl-D.
pub const CTRL_D: &str = "\x04";

/// The master's side of a pseudo-terminal that does not echo.
pub struct Terminal {
    master: File,
    seen: String,
}

/// A new one, and its other side. No child inherits them unless it is told to.
pub fn open() -> io::Result<(Terminal, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: two new descriptors, which nobody else owns. The structure is the C library's own.
    unsafe {
        let master = checked(libc::posix_openpt(flags | libc::O_NONBLOCK))?;
        let master = File::from_raw_fd(master);
        checked(libc::unlockpt(master.as_raw_fd()))?;
        let slave = checked(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        let slave = OwnedFd::from_raw_fd(slave);
        let mut modes = MaybeUninit::<libc::termios>::zeroed().assume_init();
        checked(libc::tcgetattr(slave.as_raw_fd(), &mut modes))?;
        modes.c_lflag &= !libc::ECHO;
        checked(libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &modes))?;
        Ok((Terminal { master, seen: String::new() }, slave))
    }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// In a child: leads a session whose controlling terminal is stdin.
pub fn lead_session() -> io::Result<()> {
    // SAFETY: numbers only.
    unsafe {
        checked(libc::setsid())?;
        checked(libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY as _, 0))?;
    }
    Ok(())
}

impl Terminal {
    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<(), String> {
        self.master.write_all(keys.as_bytes()).map_err(|error| format!("cannot press keys: {error}"))
    }

    /// Waits until a text appears, and forgets what came up to its end.
    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        let result = wait_until(&format!("{text:?} on the terminal"), || {
            self.look();
            let end = self.seen.find(text)? + text.len();
            self.seen.drain(..end);
            Some(())
        });
        result.map_err(|why| format!("{why}; seen: {:?}", self.seen))
    }

    fn look(&mut self) {
        let mut bytes = [0; 4096];
        // EAGAIN: nothing yet. EIO: nobody has the terminal open any more.
        while let Ok(length @ 1..) = self.master.read(&mut bytes) {
            self.seen += &String::from_utf8_lossy(&bytes[..length]);
        }
    }

    /// The foreground process group, as this process sees it.
    pub fn foreground(&self) -> libc::pid_t {
        // SAFETY: an open descriptor. The master answers for the other side: ioctl_tty(2).
        unsafe { libc::tcgetpgrp(self.master.as_raw_fd()) }
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<(), String> {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: an open descriptor, and the structure that the call asks for.
        checked(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) })
            .map(drop)
            .map_err(|error| format!("cannot change the size: {error}"))
    }
}
