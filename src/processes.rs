//! What /proc tells about the processes of this PID namespace: proc(5).

use std::io;

use libc::pid_t;

use crate::sys::{file, process};

/// A process, as its `/proc/PID/stat` had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid in this namespace.
    pub pid: pid_t,
    /// Its name, which it can set to any bytes.
    pub name: Vec<u8>,
    /// One letter; Z is a zombie.
    pub state: u8,
    /// Its parent; 0 where that is outside the namespace.
    pub parent: pid_t,
    /// Its process group.
    pub group: pid_t,
    /// When it was started, in clock ticks since boot. With the pid it tells one process from a later one.
    pub start: u64,
}

impl Process {
    /// Whether it has ended and waits to be reaped.
    pub fn is_zombie(&self) -> bool {
        self.state == b'Z'
    }
}

/// Room for a `/proc/PID/stat`: some fifty numbers, and a name of 64 bytes at most.
const STAT: usize = 2048;

/// All processes that /proc shows. One that ends meanwhile may be missing.
///
/// # Errors
/// Where /proc is not mounted or not readable, or has the pids of another namespace; or memory is short.
pub fn list() -> io::Result<Vec<Process>> {
    // `unshare --pid --fork` leaves the /proc of the namespace outside, whose pids are somebody else's in here.
    let own = parse(file::read("/proc/self/stat", &mut [0; STAT])?);
    if own.is_none_or(|own| own.pid != process::own_pid()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it belongs to another PID namespace"));
    }
    let mut processes = Vec::new();
    let mut is_short = false;
    file::names_in("/proc", |name| {
        let Some(pid) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) else { return };
        // The one list in rinit that can be long: where there is no memory for it, PID 1 goes on without.
        is_short |= processes.try_reserve(1).is_err();
        if !is_short {
            processes.extend(read(pid));
        }
    })?;
    if is_short {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(processes)
}

/// The name of a child, zombies included. In the /proc of another namespace that pid has another parent.
pub fn name_of_child(pid: pid_t) -> Option<Vec<u8>> {
    read(pid).filter(|child| child.parent == process::own_pid()).map(|process| process.name)
}

/// The descendants of `ancestor` among these processes: its children, theirs, and so on.
pub fn descendants(processes: Vec<Process>, ancestor: pid_t) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut rest = processes;
    let mut parents = vec![ancestor];
    while !parents.is_empty() {
        let (children, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|process| parents.contains(&process.parent));
        rest = others;
        parents = children.iter().map(|child| child.pid).collect();
        found.extend(children);
    }
    found
}

fn read(pid: pid_t) -> Option<Process> {
    parse(file::read(&format!("/proc/{pid}/stat"), &mut [0; STAT]).ok()?)
}

/// `pid (name) state parent group …`: the name may hold parentheses, spaces and newlines, so it ends at the last
/// parenthesis of all; what follows are numbers.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?;
    let name = stat.get(open + 1..close)?.to_vec();
    let mut fields = std::str::from_utf8(stat.get(close + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // The 22nd field; state is the third.
    let start = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, name, state, parent, group, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_read_as_a_name() {
        let stat = b"42 (a) Z 1 (b)\n) S 7 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 1\n";
        let process = parse(stat).unwrap();
        assert_eq!(process.name, b"a) Z 1 (b)\n");
        assert_eq!((process.pid, process.state, process.parent), (42, b'S', 7));
        assert_eq!((process.group, process.start), (40, 12345));
    }

    #[test]
    fn what_is_not_a_stat_line_is_no_process() {
        for stat in [&b""[..], b"1", b"1 (", b") 1 (", b"x (a) S 1 1 1", b"1 (a) S", b"1 (a"] {
            assert_eq!(parse(stat), None);
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_nobody_else_is() {
        let process = |pid, parent| Process { pid, parent, name: Vec::new(), state: b'S', group: 0, start: 0 };
        let all = vec![process(5, 4), process(3, 2), process(4, 3), process(9, 1), process(2, 1)];
        let mut found: Vec<_> = descendants(all, 2).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 5]);
    }
}
