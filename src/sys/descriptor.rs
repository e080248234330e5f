//! File descriptors: closing the inherited ones, the terminal's, and a write that never blocks.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use libc::{c_int, c_long, c_uint, pid_t};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag};

use super::signal::{self, Signal, SignalSet};
use super::{check, made};
use crate::error::Error;

/// Closes the descriptors from `first` to `last`, both included: close_range(2). Where the kernel has no such
/// call (before 5.9) or a seccomp profile refuses it (some answer EPERM, not ENOSYS), one by one.
///
/// # Safety
/// Nothing in rinit may own a descriptor of the range.
pub unsafe fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: the caller's promise; numbers only.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first as c_uint, last as c_uint, 0) };
    if closed == 0 {
        return;
    }
    for fd in first..=last.min(highest_possible()) {
        // SAFETY: the caller's promise. EBADF and EINTR leave nothing to do: the descriptor is not there, or
        // not there any more, close(2).
        unsafe { libc::close(fd) };
    }
}

/// One less than the limit on descriptors: no higher one is open, but where the limit was lowered afterwards.
fn highest_possible() -> RawFd {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is the C library's own.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    // "Unlimited" cannot be walked through; a million is the kernel's own default ceiling (fs.nr_open).
    let ceiling = 1 << 20;
    if result == 0 { RawFd::try_from(limit.rlim_cur.min(ceiling)).unwrap_or(1 << 20) - 1 } else { 1023 }
}

/// Opens the controlling terminal: tty(4).
///
/// # Errors
/// ENXIO where there is none, ENOENT in a root without /dev.
pub fn open_controlling_terminal() -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::open(c"/dev/tty", flags, Mode::empty())
}

/// A descriptor of rinit's own for the same open file as stdin, stdout or stderr.
///
/// # Errors
/// EBADF where that is closed.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: a number goes in, a descriptor that nobody owns yet comes out.
    unsafe { made(c_long::from(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))) }
}

/// The terminal's foreground process group; 0 where that is outside the PID namespace: tcgetpgrp(3).
///
/// # Errors
/// ENOTTY where this is not the controlling terminal.
pub fn foreground(terminal: BorrowedFd<'_>) -> Result<pid_t, Errno> {
    // SAFETY: a descriptor that is open.
    check(c_long::from(unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) })).map(|group| group as pid_t)
}

/// Makes a group of this session the terminal's foreground one: tcsetpgrp(3). With SIGTTOU blocked a
/// background process may do that too.
///
/// # Errors
/// ENOTTY, EPERM, EIO: the terminal or the group is not (any more) one of this session.
pub fn set_foreground(terminal: BorrowedFd<'_>, group: pid_t) -> Result<(), Errno> {
    // SAFETY: a descriptor that is open.
    check(c_long::from(unsafe { libc::tcsetpgrp(terminal.as_raw_fd(), group) })).map(drop)
}

/// Whether rinit is in the terminal's foreground, as a read finds it: one of no bytes takes nothing away, and with
/// SIGTTIN blocked the kernel refuses it to a background process, setpgid(2), termios(3).
pub fn may_read(terminal: BorrowedFd<'_>) -> bool {
    nix::unistd::read(terminal, &mut []) != Err(Errno::EIO)
}

/// Whether stdout goes to another process: pipe(7), or the socket pair that some shells make for it.
pub fn stdout_is_pipe() -> bool {
    // SAFETY: rinit was started with it, open or not; a closed one gives EBADF.
    let stdout = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };
    let kind = nix::sys::stat::fstat(stdout).map_or(0, |status| status.st_mode & libc::S_IFMT);
    kind == libc::S_IFIFO || kind == libc::S_IFSOCK
}

/// stderr, for rinit's own messages. That it is open is not known: a write finds out.
fn stderr() -> BorrowedFd<'static> {
    // SAFETY: rinit never closes or reuses descriptor 2. Where it was closed from the start a write fails
    // with EBADF, and no file that rinit opens can take the number: see `away_from_standard`.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

/// Whether rinit was started with descriptor 2 open.
pub fn stderr_is_open() -> bool {
    // SAFETY: numbers only.
    unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFD) != -1 }
}

/// Moves a descriptor of rinit's own out of 0 to 2, which a later reader would take for stdin, stdout or
/// stderr. They can be free: rinit starts, and starts the command, with whatever was closed.
pub fn away_from_standard(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return fd;
    }
    duplicate(fd.as_raw_fd()).unwrap_or(fd)
}

/// Writes all of a text to stdout: help, version, a list. rinit is no init then and may wait.
///
/// # Errors
/// [`Error::Failed`] with what write(2) says.
pub fn print(text: &[u8]) -> Result<(), Error> {
    let mut rest = text;
    while !rest.is_empty() {
        // SAFETY: rinit never closes descriptor 1 while it has something to print; a closed one gives EBADF.
        let stdout = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };
        match write(stdout, rest) {
            Ok(0) => return Err(Error::Failed("cannot write to stdout".into(), Errno::EIO)),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::Failed("cannot write to stdout".into(), errno)),
        }
    }
    Ok(())
}

/// Writes a line to stderr, so much of it as that takes at once, and tells how much that was.
///
/// The flags of the open file are shared with the command, so O_NONBLOCK must not be set there: fcntl(2).
/// What the kernel offers instead differs with what stderr is.
///
/// # Errors
/// EAGAIN where it would block; EPIPE, EBADF, ENOSPC, EIO as write(2) has them.
pub fn write_to_stderr(line: &[u8]) -> Result<usize, Errno> {
    let stderr = stderr();
    let mode = nix::sys::stat::fstat(stderr)?.st_mode;
    let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
    let written = match kind {
        SFlag::S_IFIFO => match write_no_wait(stderr, line) {
            // Not every kernel has it for pipes, and a sandbox may know pwritev2 not at all.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => write_by_own_description(line),
            other => other,
        },
        SFlag::S_IFSOCK => send_no_wait(stderr, line),
        // A terminal stands still while its user holds it (Ctrl-S).
        SFlag::S_IFCHR if is_terminal(stderr) => write_by_own_description(line),
        // Files, /dev/null, /dev/full: they answer at once.
        _ => write(stderr, line),
    };
    if matches!(written, Err(Errno::EPIPE | Errno::EFBIG)) && kind != SFlag::S_IFSOCK {
        // With the error comes a signal to the thread that wrote, which is taken before any that was sent to the
        // process: write(2), setrlimit(2), signal(7). Left pending it would be forwarded, and wake rinit for one
        // more such write. (A socket raises none, so that the one taken would be somebody's.)
        let _ = signal::wait(SignalSet::EMPTY.with(Signal::PIPE).with(Signal::XFSZ), Some(Duration::ZERO));
    }
    written
}

fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: an open descriptor.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}

fn write(fd: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    nix::unistd::write(fd, line)
}

/// pwritev2(2) with RWF_NOWAIT: O_NONBLOCK for this one call.
fn write_no_wait(fd: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast(), iov_len: line.len() };
    // Offset -1 is "at the file's own position", which a pipe insists on. It goes in as two words, low and
    // high, and the kernel joins them.
    let (low, high): (c_long, c_long) = (-1, -1);
    // SAFETY: one iovec that lives through the call and is only read from.
    let written = check(unsafe {
        libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), &raw const part, 1 as c_int, low, high, libc::RWF_NOWAIT)
    })?;
    Ok(written as usize)
}

/// MSG_DONTWAIT for a socket, and MSG_NOSIGNAL: send(2).
fn send_no_wait(fd: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the address and length are the line's.
    let sent = check(unsafe { libc::send(fd.as_raw_fd(), line.as_ptr().cast(), line.len(), flags) } as c_long)?;
    Ok(sent as usize)
}

/// Opens the same pipe or terminal anew, so that O_NONBLOCK is this descriptor's alone: proc(5),
/// /proc/self/fd. Where that fails (no /proc, not permitted), asks first whether there is room: another
/// writer can take it in between, but nothing better is left.
fn write_by_own_description(line: &[u8]) -> Result<usize, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match nix::fcntl::open("/proc/self/fd/2", flags, Mode::empty()) {
        Ok(own) => write(own.as_fd(), line),
        Err(_) if has_room(stderr()) => write(stderr(), line),
        Err(_) => Err(Errno::EAGAIN),
    }
}

/// Whether a write of up to PIPE_BUF bytes would not block now: poll(2).
fn has_room(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(1)
}
