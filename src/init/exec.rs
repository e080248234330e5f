//! execvp(3) without an allocation. The child calls it on a small stack, in the memory that it
//! shares with rinit.

use std::ffi::{CStr, OsStr};
use std::fmt::Write;
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use libc::pid_t;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::sys::arguments::Arguments;
use crate::sys::text::Text;
use crate::sys::{environment, file, process};

/// The shell that runs a script without `#!`: see execvp(3).
const SHELL: &CStr = c"/bin/sh";

/// The search path if PATH is not set, as in glibc: see execvp(3).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Room for nearly every file name. A buffer for the longest name would touch one more page of
/// memory, which rinit would then keep.
const USUAL: usize = 256;

/// Why the command did not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// What the kernel said.
    pub(super) errno: Errno,
    /// An explanation to add to the message, or nothing.
    pub(super) hint: &'static str,
}

/// Executes the command in place of this process. Returns only if that fails. `old_pid` is rinit's
/// pid, which variables may hold.
pub(super) fn execute(command: Arguments, old_pid: pid_t) -> Refusal {
    let Some(name) = command.first() else { return Refusal { errno: Errno::ENOENT, hint: "" } };
    rename_process(old_pid, process::own_pid());
    // A name with a slash is a path. It is not looked up in PATH.
    if name.to_bytes().contains(&b'/') {
        return match execute_file(name, command) {
            Continue(errno) => explain(errno, name),
            Break(refusal) => refusal,
        };
    }
    search(name, environment::variable("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes), command)
}

/// Searches the directories of PATH for the command. An empty entry stands for the working
/// directory.
fn search(name: &CStr, path: &[u8], command: Arguments) -> Refusal {
    let mut best_refusal = Refusal { errno: Errno::ENOENT, hint: "" };
    if name.is_empty() {
        return best_refusal;
    }
    // NAME_MAX does not count the NUL.
    if name.to_bytes().len() > libc::NAME_MAX as usize {
        return Refusal { errno: Errno::ENAMETOOLONG, hint: "" };
    }
    let name = name.to_bytes_with_nul();
    for directory in path.split(|byte| *byte == b':') {
        let is_usual = directory.len() + 1 + name.len() <= USUAL;
        let execute_in = if is_usual { execute_in::<USUAL> } else { execute_in::<{ libc::PATH_MAX as usize }> };
        match execute_in(directory, name, command, best_refusal) {
            Continue(next) => best_refusal = next,
            Break(refusal) => return refusal,
        }
    }
    best_refusal
}

/// Executes a file of this directory. `N` is the room for its path. Returns the best reason so far,
/// and whether the search goes on: another directory may have a file that runs. Out of line, so
/// that the small buffer and the large one are not in one stack frame.
#[inline(never)]
fn execute_in<const N: usize>(
    directory: &[u8],
    name: &[u8],
    command: Arguments,
    best_refusal: Refusal,
) -> ControlFlow<Refusal, Refusal> {
    let mut file = Text::<N>::new();
    let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    // A directory that makes the path too long is skipped, as in execvp(3).
    let fits = file.push(directory) && file.push(separator) && file.push(name);
    let Some(file) = file.as_c_str().filter(|_| fits) else { return Continue(best_refusal) };
    match execute_file(file, command)? {
        // The file exists, but rinit may not run it. Another directory may have one that runs.
        Errno::EACCES => Continue(Refusal { errno: Errno::EACCES, hint: "" }),
        errno @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT) => {
            let is_unknown = best_refusal.errno != Errno::EACCES && best_refusal.hint.is_empty();
            Continue(if is_unknown { explain(errno, file) } else { best_refusal })
        }
        errno => Break(explain(errno, file)),
    }
}

/// Executes a file. Returns the kernel's error, and whether the search goes on. If the kernel does
/// not know the file's format, the search ends, and the shell runs the file if it is a text: a file
/// without a NUL in its first line. bash has the same rule.
fn execute_file(path: &CStr, command: Arguments) -> ControlFlow<Refusal, Errno> {
    let errno = process::execute(path, command);
    if errno != Errno::ENOEXEC {
        return Continue(errno);
    }
    let mut buffer = [0; 256];
    // If rinit cannot read the file, the shell could not either, so it does not count as a text.
    let start = file::read(path, &mut buffer).unwrap_or(b"\0");
    Break(if start.starts_with(b"\x7fELF") {
        Refusal { errno, hint: "; the file is a program for another architecture, or damaged" }
    } else if start.split(|byte| *byte == b'\n').next().is_some_and(|line| line.contains(&0)) {
        Refusal { errno, hint: "" }
    } else {
        let errno = process::execute_by_shell(SHELL, path, command);
        Refusal { errno, hint: "; it is a script without '#!', and /bin/sh cannot be run" }
    })
}

/// Adds a hint that the error does not give: execve(2) also returns ENOENT if the file exists, but
/// its interpreter or loader does not.
fn explain(errno: Errno, file: &CStr) -> Refusal {
    let hint = "; the file exists, but the interpreter or loader that it names does not";
    let lacks_interpreter = errno == Errno::ENOENT && access(file, AccessFlags::F_OK).is_ok();
    Refusal { errno, hint: if lacks_interpreter { hint } else { "" } }
}

/// Variables that hold the pid of the process that they are meant for: see sd_listen_fds(3),
/// sd_watchdog_enabled(3), systemd.exec(5).
const PID_VARIABLES: [&str; 3] = ["LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="];

/// Identifies the process of LISTEN_PID by the inode of its pidfd. The command has another one, so
/// rinit removes the variable: then LISTEN_PID alone counts.
const PIDFD_VARIABLE: &str = "LISTEN_PIDFDID=";

/// The changed variables, each with room for a name, the digits of a pid and a NUL. They are
/// static, since the environment refers to them.
static CHANGED: [OnceLock<Text<32>>; PID_VARIABLES.len()] = [const { OnceLock::new() }; PID_VARIABLES.len()];

/// Replaces rinit's pid by the command's in these variables: a service ignores variables that are
/// meant for another process.
fn rename_process(old: pid_t, new: pid_t) {
    let mut listens = false;
    for (name, changed) in PID_VARIABLES.into_iter().zip(&CHANGED) {
        for (place, value) in environment::entries_with(name) {
            if value.to_str().ok().and_then(|value| value.parse().ok()) != Some(old) {
                continue;
            }
            listens |= name.starts_with("LISTEN");
            let text = changed.get_or_init(|| {
                let mut text = Text::new();
                let _ = write!(text, "{name}{new}\0");
                text
            });
            if let Some(text) = text.as_c_str() {
                environment::replace(place, text);
            }
        }
    }
    if listens && let Some((place, _)) = environment::entries_with(PIDFD_VARIABLE).next() {
        environment::remove(place);
    }
}
