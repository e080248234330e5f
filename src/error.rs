//! The errors that keep rinit from its work. Each says what a user needs to know.

use std::fmt;

use nix::errno::Errno;

/// Why rinit exits before the command runs. Once the command runs there are no errors, only
/// warnings.
#[derive(Debug)]
pub enum Error {
    /// The command line or a variable is wrong. The text names which one, its value and what is
    /// accepted.
    Usage(String),
    /// A call failed: what rinit was doing, and what the kernel said.
    Failed(String, Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => out.write_str(text),
            Self::Failed(what, errno) => write!(out, "{what}: {}", errno.desc()),
        }
    }
}
