//! What /proc tells about the processes of this PID namespace: see proc(5). It is read through
//! buffers of fixed size, so nothing allocates.

use std::ffi::CStr;
use std::fmt::Write;

use libc::pid_t;
use nix::errno::Errno;

use crate::signal::Signal;
use crate::sys::text::Text;
use crate::sys::{file, process};

/// Room for the longest name of a process: 15 bytes for a program, 63 for a thread of the kernel.
const NAME: usize = 64;

/// Room for `/proc/PID/stat`: some fifty numbers and a name.
const STAT: usize = 2048;

/// A process, as `/proc/PID/stat` describes it.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    /// Its pid in this namespace.
    pub(crate) pid: pid_t,
    /// Its parent; 0 if that is outside the namespace.
    pub(crate) parent: pid_t,
    /// Its process group.
    pub(crate) group: pid_t,
    /// When it was started, in clock ticks since boot. With its pid, this tells it from a later
    /// process with the same pid.
    pub(crate) start: u64,
    /// The state of its first thread, as one letter.
    state: u8,
    /// How many threads it has. The first thread still counts after its own end, until the last one
    /// has ended.
    threads: u32,
    /// The signals that it ignores or catches, as a mask: bit n - 1 is signal n. Only the first 31
    /// signals are in it.
    handled: u64,
    /// Its name. A process can set that to any bytes.
    pub(crate) name: Text<NAME>,
}

impl Process {
    /// Whether it has ended and waits to be reaped. A process whose first thread has ended before
    /// the others looks like a zombie, but it is alive: see pthread_exit(3).
    pub(crate) fn is_zombie(&self) -> bool {
        self.first_thread_has_ended() && self.threads <= 1
    }

    /// Whether its first thread has ended.
    pub(crate) fn first_thread_has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether a signal has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == b'T'
    }
}

/// Why the processes of this namespace cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(&'static str);

impl From<Errno> for Unreadable {
    fn from(errno: Errno) -> Self {
        Self(errno.desc())
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "cannot read /proc: {}", self.0)
    }
}

/// Calls `each` with every process that /proc shows, zombies included. A process that lives during
/// the whole walk is shown once. A process that starts or ends meanwhile may be missing. Returns
/// whether /proc lists a process that it does not let rinit read.
///
/// # Errors
/// [`Unreadable`], before the first call of `each`: /proc may not be mounted, or may be that of
/// another PID namespace, since `unshare --pid --fork` leaves the outer one mounted.
pub(crate) fn for_each_process(mut each: impl FnMut(&Process)) -> Result<bool, Unreadable> {
    check_namespace()?;
    let mut is_refused = false;
    let visit = |name: &[u8]| {
        let Some(pid) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) else { return };
        match stat_of(pid) {
            Ok(Some(process)) => each(&process),
            Err(Errno::EPERM | Errno::EACCES) => is_refused = true,
            _ => {}
        }
    };
    file::names_in(c"/proc", visit).map_err(Unreadable::from)?;
    Ok(is_refused)
}

/// Checks that /proc shows the pids of rinit's own namespace.
fn check_namespace() -> Result<(), Unreadable> {
    match read_stat(c"/proc/self/stat")? {
        Some(own) if own.pid == process::own_pid() => Ok(()),
        _ => Err(Unreadable("it belongs to another PID namespace")),
    }
}

/// The newest pid of this namespace: the last word of /proc/loadavg.
pub(crate) fn last_pid() -> Option<pid_t> {
    let mut buffer = [0; 128];
    let line = std::str::from_utf8(file::read(c"/proc/loadavg", &mut buffer).ok()?).ok()?;
    // gVisor shows 0.
    line.split_ascii_whitespace().next_back()?.parse().ok().filter(|pid| *pid > 0)
}

/// A process, if /proc shows it.
pub(crate) fn process(pid: pid_t) -> Option<Process> {
    stat_of(pid).ok().flatten()
}

/// A child of rinit, zombie or not. `None` if /proc is that of another namespace.
pub(crate) fn child(pid: pid_t) -> Option<Process> {
    process(pid).filter(|child| child.parent == process::own_pid() && check_namespace().is_ok())
}

/// Whether a child of rinit catches or ignores a signal. False if /proc does not tell. Out of
/// line, so that the buffer is not in the loop's stack frame.
#[inline(never)]
pub(crate) fn handles(pid: pid_t, signal: Signal) -> bool {
    child(pid).is_some_and(|child| child.handled >> signal.index() & 1 == 1)
}

fn stat_of(pid: pid_t) -> Result<Option<Process>, Errno> {
    let mut path = Text::<32>::new();
    // Every pid fits.
    let _ = write!(path, "/proc/{pid}/stat\0");
    path.as_c_str().map_or(Ok(None), read_stat)
}

fn read_stat(path: &CStr) -> Result<Option<Process>, Errno> {
    file::read(path, &mut [0; STAT]).map(parse)
}

/// Parses `pid (name) state parent group …`. The name may hold parentheses, spaces and newlines, so
/// it ends at the last closing parenthesis. No field after it has one.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?;
    let mut name = Text::new();
    name.push(stat.get(open + 1..close)?);
    let mut fields = std::str::from_utf8(stat.get(close + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Fields 20 and 22. The group is field 5.
    let threads = fields.nth(14)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    // Fields 33 and 34: the masks of ignored and of caught signals. A sandbox may leave them out.
    let mut mask = |skipped| fields.nth(skipped).and_then(|mask| mask.parse().ok()).unwrap_or(0_u64);
    let handled = mask(10) | mask(0);
    Some(Process { pid, parent, group, start, state, threads, handled, name })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A process for tests.
    pub(crate) fn process(pid: pid_t, parent: pid_t, state: u8, name: &str) -> Process {
        let line = format!(
            "{pid} ({name}) {state} {parent} 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 100 99 1",
            state = state as char
        );
        parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_hostile_name_is_read_as_a_name() {
        let stat = b"42 (a) Z 1 (b)\n) S 7 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 12345 99 1\n";
        let process = parse(stat).unwrap();
        assert_eq!(process.name.as_bytes(), b"a) Z 1 (b)\n");
        assert_eq!((process.pid, process.state, process.parent), (42, b'S', 7));
        assert_eq!((process.group, process.threads, process.start), (40, 3, 12345));
    }

    #[test]
    fn signals_that_are_ignored_and_caught_are_handled() {
        let stat = "7 (a) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 100 99 1 9 9 9 9 9 9 9 9 2 524288 9 9";
        assert_eq!(parse(stat.as_bytes()).unwrap().handled, 1 << 1 | 1 << 19);
    }

    #[test]
    fn what_is_not_a_stat_line_is_no_process() {
        for stat in [&b""[..], b"1", b"1 (", b") 1 (", b"x (a) S 1 1 1", b"1 (a) S", b"1 (a"] {
            assert!(parse(stat).is_none());
        }
    }

    #[test]
    fn a_process_lives_as_long_as_one_of_its_threads() {
        let zombie = process(7, 1, b'Z', "a");
        assert!(zombie.is_zombie() && !Process { threads: 2, ..zombie }.is_zombie());
        assert!(!process(7, 1, b'S', "a").is_zombie() && process(7, 1, b'T', "a").is_stopped());
    }
}
