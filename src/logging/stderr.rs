//! A write to stderr that never waits for a reader.
//!
//! rinit shares the flags of the open file with the command, so it must not set O_NONBLOCK: see
//! fcntl(2). The kernel's other ways to write without waiting depend on the kind of file. It has
//! none for a regular file: a write waits while the file system is frozen (fsfreeze(8)) or its
//! server does not answer. RWF_NOWAIT does not help there: a frozen file system ignores it, and a
//! healthy one (XFS, btrfs) refuses lines that it could take.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
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

/// The device number of /dev/ptmx: see pts(4).
const PTMX: dev_t = libc::makedev(5, 2);

/// Writes a line, or as much of it as stderr takes at once. Returns how many bytes it took.
pub(super) fn write(line: &[u8]) -> usize {
    let stderr = descriptor::standard(libc::STDERR_FILENO);
    let (kind, device) = match nix::sys::stat::fstat(stderr) {
        Ok(status) => (SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()), status.st_rdev),
        Err(Errno::EBADF) => return 0,
        // A file that is too large for this C library's structure.
        Err(_) => (SFlag::S_IFREG, 0),
    };
    let written = match kind {
        SFlag::S_IFIFO => match descriptor::write_no_wait(stderr, line) {
            // This kernel does not support the flag for pipes, or a sandbox refuses the call. A pipe
            // counts as writable if it has room for PIPE_BUF bytes: see pipe(7).
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {
                write_to_own(line).unwrap_or_else(|| write_if_ready(stderr, line))
            }
            written => written,
        },
        SFlag::S_IFSOCK => {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            nix::sys::socket::send(stderr.as_raw_fd(), line, flags)
        }
        // A terminal takes nothing while its user holds it (Ctrl-S). The master side of a
        // pseudoterminal cannot be opened again: opening /dev/ptmx creates another one.
        SFlag::S_IFCHR if isatty(stderr) == Ok(true) => {
            let own = if device == PTMX { None } else { write_to_own(line) };
            own.unwrap_or_else(|| write_byte_by_byte(stderr, line))
        }
        // A file, /dev/null and /dev/full are always ready. Another device tells whether it is.
        _ => write_if_ready(stderr, line),
    };
    if matches!(written, Err(Errno::EPIPE | Errno::EFBIG)) && kind != SFlag::S_IFSOCK {
        // With the error, the kernel sends SIGPIPE or SIGXFSZ to the thread that wrote: see
        // write(2), setrlimit(2). rinit takes that signal here, since it would forward it
        // otherwise. A signal to the thread is taken before one to the process: see signal(7).
        let _ = signal::wait(SignalSet::EMPTY.with(Signal::PIPE).with(Signal::XFSZ), Some(Duration::ZERO));
    }
    written.unwrap_or(0)
}

/// Opens the same pipe or terminal again through /proc/self/fd, so that O_NONBLOCK applies to the
/// new descriptor alone, and writes to that: see proc(5). `None` without /proc or permission.
fn write_to_own(line: &[u8]) -> Option<Result<usize, Errno>> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let own = nix::fcntl::open(c"/proc/self/fd/2", flags, Mode::empty()).ok()?;
    Some(nix::unistd::write(&own, line))
}

fn write_if_ready(stderr: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    if has_room(stderr) { nix::unistd::write(stderr, line) } else { Err(Errno::EAGAIN) }
}

/// Writes byte by byte while there is room. For a terminal, poll(2) tells only whether there is
/// room for one byte.
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
