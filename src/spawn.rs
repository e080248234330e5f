//! Starting the command: what happens in the child between the clone and the exec.
//!
//! The command sees what it would see without rinit: the mask and the dispositions that rinit inherited, the
//! same descriptors, directory and environment. Two differences are meant: a process group of its own, and the
//! pid in the variables that tell a service whom they are for.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use libc::pid_t;
use log::error;
use nix::errno::Errno;
use nix::unistd::AccessFlags;

use crate::error::{self, EXIT_FAILURE};
use crate::printable::Printable;
use crate::sys::process;
use crate::sys::signal::{self, Disposition, Signal, SignalSet};
use crate::sys::wait::{self, Changes, Patience};
use crate::terminal::Terminal;

/// What the command inherits through rinit, though rinit itself runs with something else.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// The signal mask.
    pub mask: SignalSet,
    /// Whether SIGCHLD was ignored.
    pub child: Disposition,
}

/// The shell that runs a script without `#!`: execvp(3).
const SHELL: &CStr = c"/bin/sh";

/// Where commands are looked for without PATH: execvp(3), as glibc has it.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Starts the command as a child in a process group of its own, in the terminal's foreground where that is
/// rinit's to give.
///
/// # Errors
/// The exit code to leave with; why is logged.
pub fn start(command: &[&'static CStr], inherited: Inherited, terminal: Option<&Terminal>) -> Result<pid_t, u8> {
    let Some(&name) = command.first() else { return Err(EXIT_FAILURE) };
    let mut program = Program::new(name, command);
    let mut environment = Environment::new();
    let foreground = terminal.filter(|terminal| terminal.is_to_hand_over());
    let mut has_run = false;
    let mut failed = None;
    let mut child = || {
        has_run = true;
        // Before the exec and, as rinit stands still meanwhile, before any signal can be forwarded to it.
        let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
        if let Some(terminal) = foreground {
            // Still with SIGTTOU blocked: the new group is a background one until this.
            terminal.give_to(process::own_pid());
        }
        if terminal.is_some() {
            // A Ctrl-Z may have come while this was still of rinit's group. Stopped here it would hold rinit with it.
            signal::note_stop();
        }
        environment.name_own_pid();
        if inherited.child == Disposition::Ignore {
            let _ = signal::set_disposition(Signal::CHLD, Disposition::Ignore);
        }
        signal::set_mask(inherited.mask);
        let errno = program.execute(environment.pointers());
        // A message to a closed pipe must not kill the child by SIGPIPE: its exit code is the answer.
        signal::set_mask(SignalSet::ALL);
        let hint = if errno == Errno::ENOENT && program.is_there() {
            "; the file is there, but not the interpreter or loader that it names"
        } else {
            ""
        };
        error!("cannot run '{}': {}{hint}", Printable::bytes(name.to_bytes()), errno.desc());
        let code = error::exit_code_of_exec(errno);
        failed = Some(code);
        code
    };
    // SAFETY: what the closure changes is its own, or `has_run` and `failed`, which are meant to be seen here.
    // Nothing in it unwinds: the crate aborts on panic.
    let pid = unsafe { process::spawn_sharing_memory(&mut child) }.map_err(refused)?;
    if let Some(code) = failed {
        // Nobody else waits, and rinit leaves now.
        let _ = wait::next(Changes::End, Patience::Block);
        return Err(code);
    }
    if !has_run {
        // An emulator (qemu-user) makes a fork of it: rinit did not stand still, and the child may not have got
        // as far as its own setpgid. After its exec this is refused, and not needed.
        let child = nix::unistd::Pid::from_raw(pid);
        let _ = nix::unistd::setpgid(child, child);
    }
    if signal::stop_was_noted() {
        // The user's Ctrl-Z came before the exec.
        let _ = signal::send(-pid, Some(Signal::TSTP));
    }
    Ok(pid)
}

/// The kernel started no process.
fn refused(errno: Errno) -> u8 {
    let hint = match errno {
        Errno::EAGAIN => "; a limit on processes is reached (--pids-limit, ulimit -u)",
        Errno::ENOMEM => "; memory is short, or the PID namespace has lost its init",
        _ => "",
    };
    error!("cannot start a process: {}{hint}", errno.desc());
    EXIT_FAILURE
}

/// The command as execve(2) takes it, with room for all that is put in later: the child allocates nothing.
struct Program {
    /// The command's name.
    name: &'static [u8],
    /// The directories that it is looked for in: what PATH says.
    path: &'static [u8],
    /// Room for the longest name of a file to try.
    file: Vec<u8>,
    /// The shell for a script, the arguments, and a null: execve(2) gets it from the second on, the shell all of it.
    arguments: Vec<*const c_char>,
}

impl Program {
    fn new(name: &'static CStr, command: &[&'static CStr]) -> Self {
        let path = process::variable("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes);
        Self::with_path(name, command, path)
    }

    fn with_path(name: &'static CStr, command: &[&'static CStr], path: &'static [u8]) -> Self {
        let name = name.to_bytes();
        let longest = directories(name, path).map(<[u8]>::len).max().unwrap_or(0);
        let mut arguments = Vec::with_capacity(command.len() + 2);
        arguments.push(SHELL.as_ptr());
        arguments.extend(command.iter().map(|argument| argument.as_ptr()));
        arguments.push(std::ptr::null());
        Self { name, path, file: Vec::with_capacity(longest + name.len() + 2), arguments }
    }

    /// Becomes the command, or tells why not: execvp(3).
    fn execute(&mut self, environment: *const *const c_char) -> Errno {
        // Nothing to try is a name that cannot be there, such as an empty one.
        let mut answer = Errno::ENOENT;
        for directory in directories(self.name, self.path) {
            self.name_file_in(directory);
            match execve(&self.file, self.arguments.get(1..).unwrap_or_default(), environment) {
                // Found, but not to be run. Another directory may have one that can.
                Errno::EACCES => answer = Errno::EACCES,
                Errno::ENOEXEC => return self.execute_by_shell(environment),
                missing @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT) => {
                    if answer != Errno::EACCES {
                        answer = missing;
                    }
                }
                errno => return errno,
            }
        }
        answer
    }

    /// Whether some file has the command's name: execve(2) has ENOENT also for what that file names.
    fn is_there(&mut self) -> bool {
        directories(self.name, self.path).any(|directory| {
            self.name_file_in(directory);
            let file = CStr::from_bytes_with_nul(&self.file);
            file.is_ok_and(|file| nix::unistd::access(file, AccessFlags::F_OK).is_ok())
        })
    }

    /// A script without `#!` is the shell's; a program for another machine is nobody's.
    fn execute_by_shell(&mut self, environment: *const *const c_char) -> Errno {
        if !is_binary(&self.file) {
            if let Some(script) = self.arguments.get_mut(1) {
                *script = self.file.as_ptr().cast();
            }
            execve(SHELL.to_bytes_with_nul(), &self.arguments, environment);
        }
        Errno::ENOEXEC
    }

    /// The name of the command's file in this directory, as a C string.
    fn name_file_in(&mut self, directory: &[u8]) {
        self.file.clear();
        self.file.extend_from_slice(directory);
        if !directory.is_empty() {
            self.file.push(b'/');
        }
        self.file.extend_from_slice(self.name);
        self.file.push(0);
    }
}

/// The directories in which a name is looked for: those of PATH, of which an empty one is the working directory. A
/// name with a slash is that of a file already.
fn directories<'a>(name: &[u8], path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let path = if name.contains(&b'/') { b"" } else { path };
    path.split(|byte| *byte == b':').take(if name.is_empty() { 0 } else { usize::MAX })
}

/// `file` ends with a NUL. Returns only where the kernel refuses.
fn execve(file: &[u8], arguments: &[*const c_char], environment: *const *const c_char) -> Errno {
    // SAFETY: C strings, in null-terminated lists, that live as long as rinit. It returns only on failure.
    unsafe { libc::execve(file.as_ptr().cast(), arguments.as_ptr(), environment) };
    Errno::last()
}

/// Whether a file that the kernel cannot execute is no text either: a NUL before its first line's end, as bash
/// has it. What cannot be read cannot be told; the shell could not read it either.
fn is_binary(file: &[u8]) -> bool {
    let Ok(file) = CStr::from_bytes_with_nul(file) else { return true };
    let mut start = [0; 256];
    let flags = nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_CLOEXEC;
    let read = nix::fcntl::open(file, flags, nix::sys::stat::Mode::empty())
        .and_then(|opened| nix::unistd::read(&opened, &mut start));
    let start = start.get(..read.unwrap_or(0)).unwrap_or_default();
    start.iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == 0)
}

/// The environment for the command: rinit's own, but that a pid in it that is rinit's becomes the command's.
/// sd_listen_fds(3) and sd_watchdog_enabled(3) have a service ignore what is meant for another process.
struct Environment {
    /// Where something is to be changed: the pointers, null-terminated.
    changed: Option<Vec<*const c_char>>,
    /// The variables that name the pid: their place among the pointers, and their text.
    own: Vec<(usize, Vec<u8>)>,
}

/// Variables that hold the pid of the process they are meant for.
const PID_VARIABLES: [&[u8]; 2] = [b"LISTEN_PID=", b"WATCHDOG_PID="];

/// Names that same process by the inode of its pidfd, which is not the command's. Without it the pid counts.
const PIDFD_VARIABLE: &[u8] = b"LISTEN_PIDFDID=";

/// Room for a pid's digits and the terminating NUL.
const PID_ROOM: usize = 12;

impl Environment {
    fn new() -> Self {
        let mut pointers: Vec<*const c_char> = Vec::new();
        let mut own = Vec::new();
        let named_pid = |entry: &'static CStr| {
            PID_VARIABLES.into_iter().find_map(|name| Some((name, entry.to_bytes().strip_prefix(name)?)))
        };
        let is_own = |pid: &[u8]| pid == decimal(process::own_pid().unsigned_abs(), &mut [0; PID_ROOM]);
        if !process::environment_entries().filter_map(named_pid).any(|(_, pid)| is_own(pid)) {
            return Self { changed: None, own };
        }
        let listens = process::variable("LISTEN_PID").is_some_and(|pid| is_own(pid.as_bytes()));
        for entry in process::environment_entries() {
            if listens && entry.to_bytes().starts_with(PIDFD_VARIABLE) {
                continue;
            }
            if let Some((name, pid)) = named_pid(entry)
                && is_own(pid)
            {
                let mut text = Vec::with_capacity(name.len() + PID_ROOM);
                text.extend_from_slice(name);
                own.push((pointers.len(), text));
            }
            pointers.push(entry.as_ptr());
        }
        pointers.push(std::ptr::null());
        Self { changed: Some(pointers), own }
    }

    /// Run in the child: puts its pid in.
    fn name_own_pid(&mut self) {
        let Some(pointers) = &mut self.changed else { return };
        let pid = process::own_pid();
        for (place, text) in &mut self.own {
            let mut digits = [0; PID_ROOM];
            text.extend_from_slice(decimal(pid.unsigned_abs(), &mut digits));
            text.push(0);
            if let Some(pointer) = pointers.get_mut(*place) {
                *pointer = text.as_ptr().cast();
            }
        }
    }

    fn pointers(&self) -> *const *const c_char {
        self.changed.as_ref().map_or_else(process::environment, |pointers| pointers.as_ptr())
    }
}

/// A number in digits, without an allocation.
fn decimal(mut number: u32, room: &mut [u8; PID_ROOM]) -> &[u8] {
    let mut length = 0;
    for place in room.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    room.get(PID_ROOM - length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &'static CStr, path: &'static [u8]) -> Vec<String> {
        let mut program = Program::with_path(name, &[name], path);
        let room = program.file.capacity();
        let files = directories(program.name, path).map(|directory| {
            program.name_file_in(directory);
            let file = CStr::from_bytes_with_nul(&program.file).unwrap();
            file.to_str().unwrap().to_owned()
        });
        let files = files.collect();
        assert_eq!(program.file.capacity(), room, "the child must not allocate");
        files
    }

    #[test]
    fn a_name_without_a_slash_is_looked_for_in_path() {
        assert_eq!(files(c"ls", b"/a::b"), ["/a/ls", "ls", "b/ls"]);
        assert_eq!(files(c"ls", b""), ["ls"]);
        assert_eq!(files(c"ls", DEFAULT_PATH), ["/bin/ls", "/usr/bin/ls"]);
        assert_eq!(files(c"./ls", b"/a:/b"), ["./ls"]);
        assert!(files(c"", b"/a").is_empty());
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; PID_ROOM]), number.to_string().as_bytes());
        }
    }
}
