//! `--zombies`: which live parents hold zombies, for `docker exec` in an image that holds nothing else.
//!
//! An init reaps a zombie only once its parent is gone. One that stays is a live parent's fault, and this names
//! it.

use std::cmp::Reverse;
use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::Duration;

use libc::pid_t;

use crate::error::Error;
use crate::printable::Printable;
use crate::processes::{self, Process};
use crate::sys::{descriptor, process};

/// A child that has just ended is a zombie for a moment in any program. What is one at both of two looks stays.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Zombies' names shown for one parent.
const NAMES_SHOWN: usize = 5;

/// Prints a row for each guilty parent and a closing line. Answers the exit code: 1 where there are zombies.
///
/// # Errors
/// [`Error::Io`] where /proc cannot be read, [`Error::Failed`] where stdout cannot be written.
pub fn list() -> Result<u8, Error> {
    let before = look()?;
    let all = if before.iter().any(Process::is_zombie) {
        thread::sleep(BETWEEN_LOOKS);
        look()?
    } else {
        before.clone()
    };
    let stays = |zombie: &Process| {
        before.iter().any(|other| other.is_zombie() && (other.pid, other.start) == (zombie.pid, zombie.start))
    };
    let zombies: Vec<Process> = all.iter().filter(|process| process.is_zombie() && stays(process)).cloned().collect();
    // A leader that has ended before its threads looks like one, and nobody can reap it: pthread_exit(3).
    let (unfinished, zombies): (Vec<_>, Vec<_>) = zombies.into_iter().partition(|zombie| has_threads(zombie.pid));
    descriptor::print(report(&all, &zombies, unfinished.len(), now()).as_bytes())?;
    Ok(u8::from(!zombies.is_empty()))
}

fn look() -> Result<Vec<Process>, Error> {
    processes::list().map_err(|error| Error::Io("cannot read /proc; mount it in this container".into(), error))
}

fn has_threads(pid: pid_t) -> bool {
    fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

/// The time since boot in clock ticks, as `Process::start` has it.
fn now() -> u64 {
    let ticks = u128::from(process::clock_ticks());
    u64::try_from(process::since_boot().as_millis() * ticks / 1000).unwrap_or(u64::MAX)
}

fn report(all: &[Process], zombies: &[Process], unfinished: usize, now: u64) -> String {
    let mut parents: Vec<(pid_t, Vec<&Process>)> = Vec::new();
    for zombie in zombies {
        match parents.iter_mut().find(|(parent, _)| *parent == zombie.parent) {
            Some((_, children)) => children.push(zombie),
            None => parents.push((zombie.parent, vec![zombie])),
        }
    }
    parents.sort_unstable_by_key(|(parent, children)| (Reverse(children.len()), *parent));
    let mut text = String::new();
    if !parents.is_empty() {
        text.push_str("    PID  ZOMBIES    OLDEST  COMMAND          THEIR COMMANDS\n");
    }
    for (parent, children) in &parents {
        let command = match all.iter().find(|process| process.pid == *parent) {
            Some(process) => Printable::bytes(&process.name).to_string(),
            None if *parent == 0 => "(outside)".into(),
            None => "(ended)".into(),
        };
        let oldest = children.iter().map(|child| now.saturating_sub(child.start)).max().unwrap_or(0);
        let age = age(oldest / process::clock_ticks().max(1));
        // Writing to a String does not fail.
        let _ = writeln!(text, "{parent:>7}  {:>7}  {age:>8}  {command:<15}  {}", children.len(), names(children));
    }
    let _ = match (zombies.len(), parents.len()) {
        (0, _) => writeln!(text, "no zombies"),
        (count, guilty) => writeln!(
            text,
            "{count} {} of {guilty} {} that {} not wait for {} children",
            if count == 1 { "zombie" } else { "zombies" },
            if guilty == 1 { "process" } else { "processes" },
            if guilty == 1 { "does" } else { "do" },
            if guilty == 1 { "its" } else { "their" },
        ),
    };
    if unfinished > 0 {
        let _ = writeln!(text, "not counted: {unfinished} whose threads still run; they cannot be reaped yet");
    }
    text
}

/// How often each name occurs, the most frequent first: `sh (3), sleep`.
fn names(zombies: &[&Process]) -> String {
    let mut counts: Vec<(&[u8], usize)> = Vec::new();
    for zombie in zombies {
        match counts.iter_mut().find(|(name, _)| *name == zombie.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((&zombie.name, 1)),
        }
    }
    counts.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
    let mut text = String::new();
    for (place, (name, count)) in counts.iter().take(NAMES_SHOWN).enumerate() {
        text.push_str(if place == 0 { "" } else { ", " });
        let _ = write!(text, "{}", Printable::bytes(name));
        if *count > 1 {
            let _ = write!(text, " ({count})");
        }
    }
    if counts.len() > NAMES_SHOWN {
        let _ = write!(text, " and {} other names", counts.len() - NAMES_SHOWN);
    }
    text
}

/// Seconds as people say them: `42s`, `5m`, `3h`, `2d`.
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

    fn process(pid: pid_t, parent: pid_t, state: u8, name: &str) -> Process {
        Process { pid, parent, state, name: name.into(), group: 1, start: 100 }
    }

    #[test]
    fn the_guilty_parent_is_named_with_its_zombies() {
        let all = vec![
            process(7, 1, b'S', "driver"),
            process(8, 7, b'Z', "sh"),
            process(9, 7, b'Z', "sh"),
            process(10, 7, b'Z', "gpu\n\x1b[m"),
        ];
        let text = report(&all, &all[1..], 0, 100);
        assert!(text.contains("      7        3        0s  driver           sh (2), gpu\\n\\u{1b}[m\n"), "{text}");
        assert!(text.ends_with("3 zombies of 1 process that does not wait for its children\n"), "{text}");
    }

    #[test]
    fn nobody_is_named_where_all_is_well() {
        assert_eq!(report(&[process(1, 0, b'S', "rinit")], &[], 0, 0), "no zombies\n");
    }
}
