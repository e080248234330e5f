//! execvp(3) without an allocation. The child calls it on a small stack, in rinit's own memory.

use std::ffi::{CStr, OsStr};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use libc::pid_t;
use nix::errno::Errno;
use nix::unistd::AccessFlags;

use crate::sys::arguments::Arguments;
use crate::sys::text::Text;
use crate::sys::{environment, process};

/// The shell that runs a script without `#!`: execvp(3).
const SHELL: &CStr = c"/bin/sh";

/// Where commands are looked for if PATH is not set: execvp(3), as glibc has it.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The longest name of a file that the kernel takes, with its NUL: PATH_MAX.
const LONGEST: usize = libc::PATH_MAX as usize;

/// Room for nearly every name. The page that a buffer for the longest one takes would be rinit's for life.
const USUAL: usize = 256;

/// Why the command did not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// What the kernel said.
    pub(super) errno: Errno,
    /// What may help, or nothing.
    pub(super) hint: &'static str,
}

/// Becomes the command. Returns only if that fails.
pub(super) fn execute(command: Arguments, old_pid: pid_t) -> Refusal {
    let Some(name) = command.first() else { return Refusal { errno: Errno::ENOENT, hint: "" } };
    rename_process(old_pid, process::own_pid());
    // A name with a slash is that of a file already.
    if name.to_bytes().contains(&b'/') {
        return match execute_file(name, command) {
            Ok(errno) => explain(errno, name),
            Err(refusal) => refusal,
        };
    }
    search(name, environment::variable("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes), command)
}

/// Looks for the command in the directories of PATH, of which an empty one is the working directory.
fn search(name: &CStr, path: &[u8], command: Arguments) -> Refusal {
    let mut answer = Refusal { errno: Errno::ENOENT, hint: "" };
    if name.is_empty() {
        return answer;
    }
    // NAME_MAX does not count the NUL.
    if name.to_bytes().len() > libc::NAME_MAX as usize {
        return Refusal { errno: Errno::ENAMETOOLONG, hint: "" };
    }
    let name = name.to_bytes_with_nul();
    for directory in path.split(|byte| *byte == b':') {
        let is_usual = directory.len() + 1 + name.len() <= USUAL;
        let execute_in = if is_usual { execute_in::<USUAL> } else { execute_in::<LONGEST> };
        match execute_in(directory, name, command, answer) {
            Ok(next) => answer = next,
            Err(refusal) => return refusal,
        }
    }
    answer
}

/// Executes a file of this directory, whose name is at most `N` bytes long. Returns the answer so far if another directory may have
/// one that runs, or why there is nothing more to try. Out of line, so that the usual buffer is not on a stack with the longest one.
#[inline(never)]
fn execute_in<const N: usize>(
    directory: &[u8],
    name: &[u8],
    command: Arguments,
    answer: Refusal,
) -> Result<Refusal, Refusal> {
    let mut file = Text::<N>::new();
    let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    // A directory that makes the name too long is passed over: execvp(3).
    let fits = file.push(directory) && file.push(separator) && file.push(name);
    let Some(file) = file.as_c_str().filter(|_| fits) else { return Ok(answer) };
    match execute_file(file, command)? {
        // Found, but not to be run. Another directory may have one that can.
        Errno::EACCES => Ok(Refusal { errno: Errno::EACCES, hint: "" }),
        errno @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT) => {
            let is_unknown = answer.errno != Errno::EACCES && answer.hint.is_empty();
            Ok(if is_unknown { explain(errno, file) } else { answer })
        }
        errno => Err(explain(errno, file)),
    }
}

/// Executes a file. Returns what the kernel says. A script without `#!` is the shell's, and then there is nothing more to try.
fn execute_file(file: &CStr, command: Arguments) -> Result<Errno, Refusal> {
    let errno = process::execute(file, command);
    if errno != Errno::ENOEXEC {
        return Ok(errno);
    }
    match format_of(file) {
        Format::Text => {
            let arguments = command.run_by_shell(SHELL, file);
            let errno = arguments.map_or(Errno::ENOEXEC, |arguments| process::execute(SHELL, arguments));
            Err(Refusal { errno, hint: "; it is a script without '#!', and /bin/sh cannot be run" })
        }
        Format::Elf => Err(Refusal { errno, hint: "; the file is a program for another architecture, or damaged" }),
        Format::Unknown => Err(Refusal { errno, hint: "" }),
    }
}

/// Adds what a person cannot see: execve(2) says ENOENT also if the file is there and what it names is not.
fn explain(errno: Errno, file: &CStr) -> Refusal {
    let is_there = || nix::unistd::access(file, AccessFlags::F_OK).is_ok();
    let lacks_interpreter = errno == Errno::ENOENT && is_there();
    let hint =
        if lacks_interpreter { "; the file exists, but the interpreter or loader that it names does not" } else { "" };
    Refusal { errno, hint }
}

/// What a file is that the kernel cannot execute.
enum Format {
    /// Text, for the shell.
    Text,
    /// A program.
    Elf,
    /// Something else, or unreadable.
    Unknown,
}

/// Text has no NUL in its first line: bash has the same rule.
fn format_of(file: &CStr) -> Format {
    let mut start = [0; 256];
    let flags = nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_CLOEXEC;
    let read = nix::fcntl::open(file, flags, nix::sys::stat::Mode::empty())
        .and_then(|opened| nix::unistd::read(&opened, &mut start));
    // The shell could not read it either.
    let Ok(length) = read else { return Format::Unknown };
    let start = start.get(..length).unwrap_or_default();
    if start.starts_with(b"\x7fELF") {
        return Format::Elf;
    }
    let is_binary = start.iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == 0);
    if is_binary { Format::Unknown } else { Format::Text }
}

/// Variables that hold the pid of the process they are for: sd_listen_fds(3), sd_watchdog_enabled(3), systemd.exec(5).
const PID_VARIABLES: [&str; 3] = ["LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="];

/// Names the same process by the inode of its pidfd, which is not the command's. Without it the pid counts.
const PIDFD_VARIABLE: &str = "LISTEN_PIDFDID=";

/// The changed variables: room for a name, the digits of a pid and a NUL. They stay, since the environment refers to them.
static CHANGED: [OnceLock<Text<32>>; PID_VARIABLES.len()] = [const { OnceLock::new() }; PID_VARIABLES.len()];

/// Puts the command's pid into those variables that hold rinit's: a service ignores what is meant for another process.
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
