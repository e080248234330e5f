//! A write to stderr that never waits for a reader.
//!
//! The flags of the open file are shared with the command, so O_NONBLOCK must not be set: fcntl(2). What the kernel offers
//! instead differs with what stderr is. It offers nothing for a regular file: a write waits for as long as the file system is frozen
//! (fsfreeze(8)) or its server does not answer. RWF_NOWAIT does not help there: a frozen file system ignores it, and a healthy one (XFS,
//! btrfs) refuses lines that it could take.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use libc::dev_t;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::isatty;

use crate::signal::{self, Signal, SignalSet};
use crate::sys::descriptor;

/// The device /dev/ptmx: pts(4).
const PTMX: dev_t = libc::makedev(5, 2);

/// Writes a line, or as much of it as stderr takes at once. Returns how many bytes it took.
pub(super) fn write(line: &[u8]) -> usize {
    let stderr = descriptor::standard(libc::STDERR_FILENO);
    let Ok(status) = nix::sys::stat::fstat(stderr) else { return 0 };
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    let written = match kind {
        SFlag::S_IFIFO => match descriptor::write_no_wait(stderr, line) {
            // This kernel does not know the flag for pipes, or a sandbox does not know the call.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => write_to_pipe(stderr, line),
            written => written,
        },
        SFlag::S_IFSOCK => {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            nix::sys::socket::send(stderr.as_raw_fd(), line, flags)
        }
        SFlag::S_IFCHR if isatty(stderr) == Ok(true) => write_to_terminal(stderr, status.st_rdev, line),
        // A file, /dev/null, /dev/full: they answer at once. Another device says whether it is ready.
        _ if has_room(stderr) => nix::unistd::write(stderr, line),
        _ => Err(Errno::EAGAIN),
    };
    if matches!(written, Err(Errno::EPIPE | Errno::EFBIG)) && kind != SFlag::S_IFSOCK {
        // The kernel sends a signal with the error to the thread that wrote. That one is taken before any that was sent to the
        // process: write(2), setrlimit(2), signal(7). Left pending, it would be forwarded.
        let _ = signal::wait(SignalSet::EMPTY.with(Signal::PIPE).with(Signal::XFSZ), Some(Duration::ZERO));
    }
    written.unwrap_or(0)
}

/// Writes to a pipe without RWF_NOWAIT. A pipe says that it has room if it has room for PIPE_BUF bytes: pipe(7).
fn write_to_pipe(stderr: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    match open_again() {
        Some(own) => nix::unistd::write(&own, line),
        None if has_room(stderr) => nix::unistd::write(stderr, line),
        None => Err(Errno::EAGAIN),
    }
}

/// Writes to a terminal, which stands still while its user holds it (Ctrl-S). The master side of one cannot be opened again: /dev/ptmx
/// opens as another terminal.
fn write_to_terminal(stderr: BorrowedFd<'_>, device: dev_t, line: &[u8]) -> Result<usize, Errno> {
    match if device == PTMX { None } else { open_again() } {
        Some(own) => nix::unistd::write(&own, line),
        None => write_byte_by_byte(stderr, line),
    }
}

/// Opens the same pipe or terminal anew, so that O_NONBLOCK is this descriptor's alone: /proc/self/fd, proc(5). `None` without /proc or
/// permission.
fn open_again() -> Option<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    nix::fcntl::open(c"/proc/self/fd/2", flags, Mode::empty()).ok()
}

/// Writes for as long as there is room. That there is room for one byte is all that poll(2) says of a terminal.
fn write_byte_by_byte(stderr: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    for byte in line {
        if !has_room(stderr) {
            break;
        }
        match nix::unistd::write(stderr, std::slice::from_ref(byte)) {
            Ok(1) => written += 1,
            Err(errno) if written == 0 => return Err(errno),
            _ => break,
        }
    }
    Ok(written)
}

fn has_room(stderr: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(1)
}
