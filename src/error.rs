//! What can keep rinit from its work, each with what a person needs to know, and the exit code it means.

use std::fmt;

use nix::errno::Errno;

use crate::printable::Printable;

/// rinit itself could not do its work, as for env(1), timeout(1) and docker run.
pub const EXIT_FAILURE: u8 = 125;
/// The command was found and cannot be run.
pub const EXIT_CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const EXIT_NOT_FOUND: u8 = 127;

/// Why rinit ends before a command runs. Once one runs there are no errors, only warnings.
#[derive(Debug)]
pub enum Error {
    /// The command line or a variable is wrong; the text names which, its value and what is accepted.
    Usage(String),
    /// A call failed: what was being done, and what the kernel said.
    Failed(String, Errno),
    /// As before, where a word on the remedy helps.
    FailedWithHint(String, Errno, &'static str),
    /// A file could not be worked with.
    Io(String, std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => out.write_str(text),
            Self::Failed(what, errno) => write!(out, "{what}: {}", errno.desc()),
            Self::FailedWithHint(what, errno, hint) => write!(out, "{what}: {}; {hint}", errno.desc()),
            Self::Io(what, error) => match error.raw_os_error() {
                Some(number) => write!(out, "{what}: {}", Errno::from_raw(number).desc()),
                None => write!(out, "{what}: {error}"),
            },
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// A wrong value: of which option or variable, what it was, and what would be right.
    pub fn value(source: &str, value: &std::ffi::OsStr, accepted: &str) -> Self {
        Self::Usage(format!("{source}: '{}' is not accepted; {accepted}", Printable::os(value)))
    }
}

/// The exit code for a command that the kernel would not execute: 127 where it is not there, else 126.
pub fn exit_code_of_exec(errno: Errno) -> u8 {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => EXIT_NOT_FOUND,
        _ => EXIT_CANNOT_RUN,
    }
}
