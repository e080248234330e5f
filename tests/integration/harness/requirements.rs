//! What a test needs of the machine, beyond a Linux kernel and the programs that every Debian has.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};

/// One thing that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// May make PID namespaces: as root, or below `unshare --user --map-root-user`.
    Namespaces,
    /// Root over every user of the machine: may become any user and make device nodes.
    Root,
    /// A Docker daemon that answers.
    Docker,
    /// A program of this name in PATH.
    Program(&'static str),
}

impl Requirement {
    /// What is missing, in words; none where it is there. Each requirement is looked at once.
    pub fn missing(&self) -> Option<String> {
        static ANSWERS: Mutex<Option<HashMap<Requirement, Option<String>>>> = Mutex::new(None);
        let mut answers: MutexGuard<_> = ANSWERS.lock().unwrap();
        answers.get_or_insert_default().entry(*self).or_insert_with(|| self.look()).clone()
    }

    fn look(&self) -> Option<String> {
        match self {
            Self::Namespaces if can_make_namespaces() => None,
            Self::Namespaces => Some("needs root, or `unshare --user --map-root-user cargo test`".to_owned()),
            Self::Root if can_make_namespaces() && is_root_over_all_users() => None,
            Self::Root => Some("needs root".to_owned()),
            Self::Docker if succeeds(Command::new("timeout").args(["60", "docker", "info"])) => None,
            Self::Docker => Some("no Docker daemon answers".to_owned()),
            Self::Program(name) if is_in_path(name) => None,
            Self::Program(name) => Some(format!("no program '{name}'")),
        }
    }
}

fn can_make_namespaces() -> bool {
    let mut command = Command::new("true");
    // SAFETY: a system call only, which changes the child alone.
    unsafe {
        command.pre_exec(|| match libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    succeeds(&mut command)
}

/// user_namespaces(7): the initial user namespace maps every user to itself.
fn is_root_over_all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
