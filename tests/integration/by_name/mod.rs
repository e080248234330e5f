//! Called by another init's name rinit behaves as that init: each table here is run against the original, which is
//! Debian's package, and against rinit under the original's name. What stays different on purpose is a table too, with
//! the reason.

pub mod command_line;
pub mod runtimes;
pub mod surroundings;
pub mod terminal;
pub mod who_receives;

use std::fmt::Debug;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{TempDir, program, rinit};

/// The names, and the file in Debian that has each name or is what a runtime starts under it.
const ORIGINALS: [(&str, &str); 6] = [
    ("tini", "/usr/bin/tini"),
    ("tini-static", "/usr/bin/tini-static"),
    // docker run --init: a link to tini-static.
    ("docker-init", "/usr/bin/docker-init"),
    ("catatonit", "/usr/bin/catatonit"),
    // podman run --init.
    ("podman-init", "/usr/bin/catatonit"),
    ("dumb-init", "/usr/bin/dumb-init"),
];

const TINI: &[&str] = &["tini", "tini-static", "docker-init"];
const CATATONIT: &[&str] = &["catatonit", "podman-init"];
const TINI_AND_CATATONIT: &[&str] = &["tini", "tini-static", "docker-init", "catatonit", "podman-init"];
const DUMB_INIT: &[&str] = &["dumb-init"];

/// The original, and rinit under its name.
fn original_and_rinit(temp: &TempDir, name: &str) -> [String; 2] {
    let (_, original) = ORIGINALS.iter().find(|(known, _)| *known == name).unwrap();
    let ours = temp.file(name);
    // There already the second time.
    let _ = symlink(rinit(), &ours);
    [(*original).to_owned(), ours]
}

/// One of the two, to be started with variables, as in `NAME=value OTHER=`, and options.
fn init(path: &str, variables: &str, options: &str) -> Command {
    let mut command = program(path);
    for name in ["TINI_SUBREAPER", "TINI_VERBOSITY", "TINI_KILL_PROCESS_GROUP", "DUMB_INIT_DEBUG", "DUMB_INIT_SETSID"] {
        command.env_remove(name);
    }
    command.envs(variables.split_ascii_whitespace().map(|variable| variable.split_once('=').unwrap()));
    command.args(options.split_ascii_whitespace());
    command
}

/// Collects what does not hold in a table, so that one run shows all of it.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Holds rinit's answer against the original's. With a reason for a difference, there has to be just this one.
    fn compare<T: PartialEq + Debug>(&mut self, row: &str, theirs: &T, ours: &T, on_purpose: Option<(&T, &str)>) {
        match on_purpose {
            None if ours != theirs => self.0.push(format!("{row}: {ours:?}, and the original {theirs:?}")),
            Some((expected, why)) if ours != expected => {
                self.0.push(format!("{row}: {ours:?}, and not {expected:?}, since {why}; the original {theirs:?}"));
            }
            Some((_, why)) if ours == theirs => {
                self.0.push(format!("{row}: {ours:?}, as the original; there is no difference any more that {why}"));
            }
            _ => {}
        }
    }

    fn check(self) {
        assert!(self.0.is_empty(), "{} rows:\n{}", self.0.len(), self.0.join("\n"));
    }
}
