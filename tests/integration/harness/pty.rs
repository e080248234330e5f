//! A session on a pseudo-terminal of its own, with the test as the user before the screen: pty(7), credentials(7).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::pid_t;

use super::{
    Deadline, Role, Running, children, descendants, is_waiting, is_waiting_for_input, probe, program, rinit, state,
    status_line, wait_until,
};

/// The keys that make signals: termios(3).
pub const CTRL_C: &str = "\x03";
/// SIGQUIT.
pub const CTRL_BACKSLASH: &str = "\x1c";
/// SIGTSTP.
pub const CTRL_Z: &str = "\x1a";
/// End of input.
pub const CTRL_D: &str = "\x04";

/// What every shell here asks with.
pub const PROMPT: &str = "prompt> ";

/// An interactive bash, as a user has it.
pub const BASH: &[&str] = &["bash", "--norc", "--noprofile", "-i"];

/// An interactive dash.
pub const DASH: &[&str] = &["dash", "-i"];

/// A session leader with its controlling terminal. What is typed is not echoed by the terminal (a shell's line editor
/// does echo it), so what appears has been written by a program.
pub struct Session {
    /// The session leader.
    pub leader: Running,
    master: Option<File>,
    screen: Screen,
    /// How much of the screen's text earlier expectations have taken.
    taken: usize,
}

impl Session {
    /// An interactive shell, which has shown its prompt.
    pub fn shell(words: &[&str]) -> Self {
        let mut shell = program(words[0]);
        shell.args(&words[1..]);
        let mut session = Self::start(Role::Subreaper, shell);
        session.prompt();
        session
    }

    /// Any command of [`program`]'s. For shells, the variables INIT and PROBE hold the paths of rinit and the probe: a
    /// shell shows what is typed to it, so a path that is typed could hold a word that a test waits for.
    pub fn start(role: Role, mut command: Command) -> Self {
        // SAFETY: a system call only, which is what a forked child of a program with threads may do.
        unsafe { command.pre_exec(lead_session).pre_exec(acquire_terminal) };
        Self::on_terminal(role, command)
    }

    /// The same with a terminal for stdin, stdout and stderr that is nobody's controlling terminal.
    pub fn start_without_terminal(role: Role, mut command: Command) -> Self {
        // SAFETY: system calls only.
        unsafe { command.pre_exec(lead_session) };
        Self::on_terminal(role, command)
    }

    fn on_terminal(role: Role, mut command: Command) -> Self {
        let (master, slave) = open();
        let stdio = || slave.try_clone().unwrap();
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        command.env("TERM", "xterm").env("PS1", PROMPT).env("HISTFILE", "/dev/null").env_remove("ENV");
        command.env("INIT", rinit()).env("PROBE", probe()).env("LESSHISTFILE", "-");
        Self { leader: Running::spawn(role, &mut command), master: Some(master), screen: Screen::default(), taken: 0 }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.master().write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line.
    pub fn line(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Types a line to a shell and waits for its next prompt.
    pub fn run(&mut self, line: &str) {
        self.line(line);
        self.prompt();
    }

    /// Types a command line that starts rinit, with these words after it. `$PROBE` is the probe.
    pub fn run_rinit(&mut self, words: &str) {
        self.line(&format!("$INIT {words}"));
    }

    /// Types a line to `cat` and waits for its echo.
    pub fn says(&mut self, text: &str) {
        // In brackets: a word alone could be part of something else that appears.
        let text = format!("<{text}>");
        self.line(&text);
        self.expect(&text);
    }

    /// Waits for the shell's prompt.
    pub fn prompt(&mut self) {
        self.expect(PROMPT);
    }

    /// Waits until a text appears that no earlier call has taken; answers what came before it.
    pub fn expect(&mut self, text: &str) -> String {
        let mut deadline = Deadline::new();
        loop {
            let rest = self.rest();
            if let Some(at) = rest.find(text) {
                let before = rest[..at].to_owned();
                self.taken += at + text.len();
                return before;
            }
            if !deadline.allows_another_look() {
                let (seen, rest) = self.screen.text.split_at(self.taken);
                let processes: String = descendants(self.leader.pid).into_iter().map(describe).collect();
                panic!("waited in vain for {text:?}; seen:\n{seen}\nand then:\n{rest}\nprocesses:\n{processes}");
            }
        }
    }

    /// What has appeared since the last expectation.
    pub fn rest(&mut self) -> &str {
        self.look();
        &self.screen.text[self.taken..]
    }

    fn look(&mut self) {
        let Some(master) = &mut self.master else { return };
        let mut bytes = [0; 4096];
        // EAGAIN: nothing yet. EIO: nobody has the terminal open any more.
        while let Ok(length @ 1..) = master.read(&mut bytes) {
            self.screen.show(&bytes[..length]);
        }
    }

    /// The foreground process group, as this process sees it.
    pub fn foreground(&self) -> pid_t {
        // SAFETY: an open descriptor. Asked of the master it is the answer of the other side: ioctl_tty(2).
        unsafe { libc::tcgetpgrp(self.master().as_raw_fd()) }
    }

    /// Waits until this group is in the foreground.
    pub fn wait_until_foreground(&self, group: pid_t) {
        wait_until("the group to be in the foreground", || (self.foreground() == group).then_some(()));
    }

    /// Waits until rinit, the session leader, has handed the foreground to its command; answers the command's pid.
    pub fn command(&self) -> pid_t {
        let command = self.leader.main_child();
        self.wait_until_foreground(group_of(command));
        command
    }

    /// Waits until a shell that leads the session has handed the foreground to the job of its newest child, where
    /// that is rinit, and rinit to the command; answers rinit's pid and the command's.
    pub fn job(&self) -> (pid_t, pid_t) {
        let (rinit, command) = self.background_job();
        self.wait_until_foreground(group_of(command));
        (rinit, command)
    }

    /// The same for a job that bash has just started. bash may give the foreground to rinit's group once more, after rinit
    /// has given it to the command. Then it stays there, and what a key sends comes through rinit.
    pub fn new_job(&self) -> (pid_t, pid_t) {
        let (rinit, command) = self.background_job();
        wait_until("the new job to be in the foreground", || {
            let foreground = self.foreground();
            let is_settled = || is_waiting(rinit) && state(self.leader.pid) == Some('S');
            (foreground == group_of(command) || (is_settled() && foreground == group_of(rinit))).then_some(())
        });
        (rinit, command)
    }

    /// The same, wherever the foreground is.
    pub fn background_job(&self) -> (pid_t, pid_t) {
        let binary = fs::canonicalize(rinit()).unwrap();
        let runs = |pid: &pid_t| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == binary);
        wait_until("rinit and its command", || {
            let rinit = children(self.leader.pid).into_iter().rev().find(runs)?;
            Some((rinit, children(rinit).into_iter().find(|child| !runs(child))?))
        })
    }

    /// Waits until the descendant of the leader that has this name waits for a key. What a program shows comes before
    /// that, and a stop that comes in between may have to wait for the next key: less(1) looks at it only then.
    pub fn wait_until_key_is_awaited(&self, name: &str) {
        wait_until(format!("{name} to wait for a key"), || {
            let is_it = |pid: &pid_t| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it.trim() == name);
            descendants(self.leader.pid).into_iter().find(is_it).filter(|pid| is_waiting_for_input(*pid))
        });
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: an open descriptor and the structure that the call asks for.
        assert_eq!(unsafe { libc::ioctl(self.master().as_raw_fd(), libc::TIOCSWINSZ, &size) }, 0);
    }

    /// Closes the terminal's window.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("not hung up")
    }
}

/// A process in one line: its state, its signals, its command line.
pub fn describe(pid: pid_t) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let masks = ["ShdPnd", "SigBlk", "SigIgn", "SigCgt"].map(|name| status_line(pid, name));
    format!("{pid} {:?} group {} {masks:?} {}\n", state(pid), group_of(pid), line.escape_ascii())
}

/// The process group of a process.
pub fn group_of(pid: pid_t) -> pid_t {
    // SAFETY: numbers only.
    unsafe { libc::getpgid(pid) }
}

/// A pseudo-terminal that does not echo: a master that does not block, and the other side. No child inherits them.
fn open() -> (File, OwnedFd) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // Wide, so that no line is broken.
    let size = libc::winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: two new descriptors, which nobody else owns; the structures are the C library's own.
    unsafe {
        let master = libc::posix_openpt(flags | libc::O_NONBLOCK);
        assert!(master >= 0 && libc::unlockpt(master) == 0, "{}", io::Error::last_os_error());
        let slave = libc::ioctl(master, libc::TIOCGPTPEER, flags);
        assert!(slave >= 0, "{}", io::Error::last_os_error());
        let mut modes = MaybeUninit::<libc::termios>::zeroed().assume_init();
        assert_eq!(libc::tcgetattr(slave, &mut modes), 0);
        modes.c_lflag &= !libc::ECHO;
        assert_eq!(libc::tcsetattr(slave, libc::TCSANOW, &modes), 0);
        assert_eq!(libc::ioctl(slave, libc::TIOCSWINSZ, &size), 0);
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// In the child: a session of its own. No core files.
fn lead_session() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: numbers, and a structure of the C library's own.
    let results = unsafe { [libc::setsid(), libc::setrlimit(libc::RLIMIT_CORE, &none)] };
    if results.contains(&-1) { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// In the child: stdin is the session's controlling terminal.
fn acquire_terminal() -> io::Result<()> {
    // SAFETY: numbers only.
    match unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What a terminal shows, read as text: escape sequences are left out, wherever they move the cursor.
#[derive(Default)]
struct Screen {
    text: String,
    /// A character or an escape sequence that has not come to its end.
    unfinished: Vec<u8>,
}

impl Screen {
    fn show(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.unfinished.push(byte);
            let is_whole = match self.unfinished[..] {
                [0x1b] => false,
                // CSI: up to a letter or the like. OSC, DCS: up to BEL or ESC \.
                [0x1b, b'[', .., last] if self.unfinished.len() > 2 => (b'@'..=b'~').contains(&last),
                [0x1b, b']' | b'P', ..] => byte == 0x07 || self.unfinished.ends_with(b"\x1b\\"),
                [0x1b, b'[' | b'(' | b')' | b'#' | b'%'] => false,
                [0x1b, ..] => true,
                _ => {
                    // ASCII is all that is looked for.
                    if byte == b'\n' || (b' '..=b'~').contains(&byte) {
                        self.text.push(char::from(byte));
                    }
                    true
                }
            };
            if is_whole {
                self.unfinished.clear();
            }
        }
    }
}
