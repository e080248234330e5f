//! `--zombies`: lists the parents that hold zombies. It is for `docker exec` in an image that holds
//! nothing else.
//!
//! An init can reap a zombie only once its parent has ended. A zombie that stays is the fault of a
//! live parent, which the list names.

use std::cmp::Reverse;
use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::unistd::{Gid, getegid, getgroups};

use crate::error::Error;
use crate::logging::escape::Escaped;
use crate::procfs::{self, Process};
use crate::signal::moment::{Moment, TICKS};

/// The time between two looks at /proc. In any program, a child that has just ended is a zombie for
/// a moment. Only one that is a zombie at both looks is listed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How many names of zombies are shown for one parent.
const NAMES_SHOWN: usize = 5;

/// Prints a row for each guilty parent and a closing line. Returns the exit code: 1 if there are
/// zombies.
///
/// # Errors
/// [`Error::Usage`] if /proc cannot be read, or shows no zombies and hides other users' processes;
/// [`Error::Failed`] if stdout cannot be written.
pub(crate) fn list() -> Result<u8, Error> {
    let before = look()?;
    let look = if before.processes.iter().any(Process::first_thread_has_ended) {
        thread::sleep(BETWEEN_LOOKS);
        look()?
    } else {
        Look { processes: before.processes.clone(), ..before }
    };
    let stays = |zombie: &&Process| {
        let is_same = |other: &Process| (other.pid, other.start) == (zombie.pid, zombie.start);
        zombie.first_thread_has_ended()
            && before.processes.iter().any(|other| is_same(other) && other.first_thread_has_ended())
    };
    let ended: Vec<Process> = look.processes.iter().filter(stays).copied().collect();
    // A process whose first thread has ended before the others cannot be reaped yet: see
    // pthread_exit(3).
    let (mut zombies, unfinished): (Vec<_>, Vec<_>) = ended.into_iter().partition(Process::is_zombie);
    if zombies.is_empty() && look.is_partial {
        let why =
            "cannot see the processes of other users: /proc hides them (hidepid); run this as root with CAP_SYS_PTRACE";
        return Err(Error::Usage(why.into()));
    }
    let text = report(&look.processes, &mut zombies, unfinished.len(), Moment::now(), look.is_partial);
    super::print(text.as_bytes())?;
    Ok(u8::from(!zombies.is_empty()))
}

/// What /proc shows at one time.
struct Look {
    processes: Vec<Process>,
    /// Whether it hides the processes of other users: see hidepid in proc(5).
    is_partial: bool,
}

fn look() -> Result<Look, Error> {
    let mut processes = Vec::new();
    let unreadable = |error| Error::Usage(format!("{error}; mount /proc in this container"));
    let is_refused = procfs::for_each_process(|process| processes.push(*process)).map_err(unreadable)?;
    // Every namespace has a PID 1. If /proc does not show it, it hides other processes too.
    let lacks_pid_1 = !processes.iter().any(|process| process.pid == 1);
    Ok(Look { processes, is_partial: is_refused || lacks_pid_1 || hides_other_users() })
}

/// Whether /proc is mounted so that it hides other users' processes from rinit: see hidepid and gid
/// in proc(5).
fn hides_other_users() -> bool {
    let content = |file| fs::read_to_string(file).unwrap_or_default();
    let mounts = content("/proc/self/mounts");
    let is_proc = |line: &&str| line.split(' ').nth(1) == Some("/proc");
    let options = mounts.lines().rfind(is_proc).and_then(|line| line.split(' ').nth(3)).unwrap_or_default();
    let option = |name| options.split(',').find_map(|option| option.strip_prefix(name));
    let Some(mode) = option("hidepid=") else { return false };
    // The members of a group see all processes: without the option gid, those of the group 0
    // outside any user namespace.
    let maps_root = || content("/proc/self/gid_map").split_ascii_whitespace().take(2).eq(["0", "0"]);
    let group = option("gid=").or_else(|| maps_root().then_some("0")).filter(|_| !matches!(mode, "4" | "ptraceable"));
    let group = group.and_then(|group| group.parse().ok()).map(Gid::from_raw);
    let is_member = |group| getegid() == group || getgroups().is_ok_and(|groups| groups.contains(&group));
    // Whoever may trace any process sees it, too: CAP_SYS_PTRACE (19) in capabilities(7).
    let status = content("/proc/self/status");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    let may_trace = u64::from_str_radix(capabilities.trim(), 16).is_ok_and(|mask| mask >> 19 & 1 == 1);
    !may_trace && !group.is_some_and(is_member)
}

fn report(all: &[Process], zombies: &mut [Process], unfinished: usize, now: Moment, is_partial: bool) -> String {
    zombies.sort_unstable_by_key(|zombie| zombie.parent);
    let mut parents: Vec<&[Process]> = zombies.chunk_by(|one, other| one.parent == other.parent).collect();
    parents.sort_by_key(|children| Reverse(children.len()));
    let mut text = String::new();
    if !parents.is_empty() {
        text.push_str("    PID  ZOMBIES    OLDEST  COMMAND          THEIR COMMANDS\n");
    }
    for children in &parents {
        let parent = children.first().map_or(0, |child| child.parent);
        let command = match all.iter().find(|process| process.pid == parent) {
            Some(process) => Escaped(process.name.as_bytes()).to_string(),
            None if parent == 0 => "(outside)".into(),
            None => "(ended)".into(),
        };
        let oldest = children.iter().map(|child| now.ticks_since(child.start)).max().unwrap_or(0);
        let age = age(oldest / TICKS);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{parent:>7}  {:>7}  {age:>8}  {command:<15}  {}", children.len(), names(children));
    }
    let kind = if zombies.len() == 1 { "zombie" } else { "zombies" };
    let guilty =
        if parents.len() == 1 { "process that does not wait for its" } else { "processes that do not wait for their" };
    let _ = match zombies.len() {
        0 => writeln!(text, "no zombies"),
        count => writeln!(text, "{count} {kind} of {} {guilty} children", parents.len()),
    };
    if unfinished > 0 {
        let _ = writeln!(text, "not counted: {unfinished} whose threads still run; they cannot be reaped yet");
    }
    if is_partial {
        text.push_str("there may be more: /proc hides the processes of other users (hidepid); run this as root with CAP_SYS_PTRACE\n");
    }
    text
}

/// Each name and how often it occurs, the most frequent first: `sh (3), sleep`.
fn names(zombies: &[Process]) -> String {
    let mut names: Vec<&[u8]> = zombies.iter().map(|zombie| zombie.name.as_bytes()).collect();
    names.sort_unstable();
    let mut counts: Vec<&[&[u8]]> = names.chunk_by(|one, other| one == other).collect();
    counts.sort_by_key(|same| Reverse(same.len()));
    let mut text = String::new();
    for (place, same) in counts.iter().take(NAMES_SHOWN).enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{}", Escaped(same.first().copied().unwrap_or_default()));
        if same.len() > 1 {
            let _ = write!(text, " ({})", same.len());
        }
    }
    if counts.len() > NAMES_SHOWN {
        let _ = write!(text, " and {} other names", counts.len() - NAMES_SHOWN);
    }
    text
}

/// A time in the unit that people would use: `42s`, `5m`, `3h`, `2d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::process;

    #[test]
    fn the_guilty_parent_is_named_with_its_zombies() {
        let all = vec![
            process(7, 1, b'S', "driver"),
            process(8, 7, b'Z', "sh"),
            process(9, 7, b'Z', "sh"),
            process(10, 7, b'Z', "gpu\n\x1b[m"),
        ];
        let text = report(&all, &mut all[1..].to_vec(), 0, Moment::now(), false);
        assert!(text.contains("  driver           sh (2), gpu\\n\\u{1b}[m\n"), "{text}");
        assert!(text.ends_with("3 zombies of 1 process that does not wait for its children\n"), "{text}");
    }

    #[test]
    fn nobody_is_named_where_all_is_well() {
        assert_eq!(report(&[process(1, 0, b'S', "rinit")], &mut [], 0, Moment::now(), false), "no zombies\n");
    }
}
