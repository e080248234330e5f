//! If rinit is called by another init's name, it behaves as that init. So a user migrates by
//! replacing one file. This is the table of the differences. It was checked against tini 0.19.0,
//! dumb-init 1.2.5 and catatonit 0.1.7.
//!
//! Under every name, help, version and messages are rinit's own, and rinit forwards the signals
//! that the other inits lose.

use log::LevelFilter;

/// Which processes a signal is forwarded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main child's process group, and the main child if it has left that group.
    Group,
    /// The main child alone.
    MainChild,
    /// Every process that rinit is responsible for.
    Everyone,
}

/// How rinit behaves under one name.
#[derive(Debug)]
pub struct Persona {
    /// The names that select this behaviour: the base name of the first argument.
    names: &'static [&'static str],
    /// Which processes signals are forwarded to, if no option says otherwise.
    pub(crate) target: Target,
    /// The exit codes for failures that keep the command from running.
    pub(crate) codes: FailureCodes,
    /// Whether the first `--` after the command's name is dropped, as getopt(3) does in the
    /// original: `tini PROGRAM -- ARGS`.
    pub(crate) drops_separator: bool,
    /// Whether the command gets a session of its own, and SIGTSTP, SIGTTIN and SIGTTOU become
    /// SIGSTOP. This applies only if signals go to the group.
    pub(crate) starts_session: bool,
    /// Whether the init stops itself on SIGTSTP, SIGTTIN and SIGTTOU.
    pub(crate) suspends_itself: bool,
    /// Whether the rest of the command's process group gets SIGTERM when the main child has ended.
    /// This applies only to a command with a session of its own.
    pub(crate) ends_group: bool,
    /// Whether `--rewrite` accepts a signal that cannot be received. Such a rule has no effect.
    pub(crate) takes_any_rewrite: bool,
    /// Abbreviations that are unambiguous among the original's options, and the options that they
    /// stand for.
    pub(crate) abbreviations: &'static [(&'static str, &'static str)],
    /// The variables of the original that rinit reads under its name.
    pub(crate) variables: &'static [Variable],
}

/// The exit codes for failures that keep the command from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureCodes {
    /// The command line or a variable is wrong, or rinit itself could not do its work.
    pub(crate) failure: u8,
    /// The command was not found.
    pub(crate) not_found: u8,
    /// It was found, and permission to run it is missing.
    pub(crate) not_permitted: u8,
    /// It was found and cannot be run for another reason.
    pub(crate) cannot_run: u8,
}

/// A variable that another init reads.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// What a value of the variable means. `None` if it means nothing.
    pub(crate) meaning: fn(&str) -> Option<Meaning>,
}

/// What a variable asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Forward signals to these processes.
    Target(Target),
    /// Log up to this level.
    Level(LevelFilter),
}

impl Meaning {
    /// The target that it asks for.
    pub(crate) fn target(self) -> Option<Target> {
        if let Self::Target(target) = self { Some(target) } else { None }
    }

    /// The level that it asks for.
    pub(crate) fn level(self) -> Option<LevelFilter> {
        if let Self::Level(level) = self { Some(level) } else { None }
    }

    /// The option that asks for the same.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Target(Target::Group) => "--kill-process-group",
            Self::Target(Target::MainChild) => "--single-child",
            Self::Target(Target::Everyone) => "--all",
            Self::Level(_) => "--verbose",
        }
    }
}

/// rinit under its own name, and under any that is not in the table.
pub static RINIT: Persona = Persona {
    names: &["rinit"],
    target: Target::Group,
    codes: FailureCodes { failure: 125, not_found: 127, not_permitted: 126, cannot_run: 126 },
    drops_separator: false,
    starts_session: false,
    suspends_itself: false,
    ends_group: false,
    takes_any_rewrite: false,
    abbreviations: &[],
    variables: &[],
};

static TINI: Persona = Persona {
    names: &["tini", "tini-static", "docker-init"],
    target: Target::MainChild,
    codes: FailureCodes { failure: 1, not_found: 127, not_permitted: 126, cannot_run: 1 },
    drops_separator: true,
    variables: &[
        Variable { name: "TINI_KILL_PROCESS_GROUP", meaning: |_| Some(Meaning::Target(Target::Group)) },
        Variable { name: "TINI_VERBOSITY", meaning: |value| Some(Meaning::Level(tini_level(value))) },
    ],
    ..RINIT
};

static CATATONIT: Persona = Persona {
    names: &["catatonit", "podman-init"],
    codes: FailureCodes { failure: 1, not_found: 1, not_permitted: 1, cannot_run: 1 },
    abbreviations: &[("v", "version"), ("ve", "version"), ("ver", "version")],
    variables: &[Variable { name: "CATATONIT_DEBUG", meaning: |_| Some(Meaning::Level(LevelFilter::Debug)) }],
    ..TINI
};

static DUMB_INIT: Persona = Persona {
    names: &["dumb-init"],
    codes: FailureCodes { failure: 1, not_found: 2, not_permitted: 2, cannot_run: 2 },
    starts_session: true,
    suspends_itself: true,
    ends_group: true,
    takes_any_rewrite: true,
    abbreviations: &[("s", "single-child"), ("r", "rewrite"), ("re", "rewrite")],
    variables: &[
        Variable {
            name: "DUMB_INIT_SETSID",
            meaning: |value| (value == "0").then_some(Meaning::Target(Target::MainChild)),
        },
        Variable {
            name: "DUMB_INIT_DEBUG",
            meaning: |value| (value == "1").then_some(Meaning::Level(LevelFilter::Debug)),
        },
    ],
    ..RINIT
};

/// Every persona.
static ALL: [&Persona; 4] = [&RINIT, &TINI, &CATATONIT, &DUMB_INIT];

impl Persona {
    /// The persona of a program that was started by this name.
    pub fn of(name: &[u8]) -> &'static Self {
        let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_called = |persona: &&&Self| persona.names.iter().any(|name| name.as_bytes() == base);
        ALL.iter().find(is_called).copied().unwrap_or(&RINIT)
    }

    /// Its first name.
    pub(crate) fn name(&self) -> &'static str {
        self.names.first().unwrap_or(&"rinit")
    }

    /// The other inits.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'static Self> {
        ALL.into_iter().filter(move |other| !std::ptr::eq(*other, self))
    }
}

/// The log level for a value of TINI_VERBOSITY. tini reads the value with atoi(3) into an unsigned
/// number, so a negative one asks for everything.
fn tini_level(value: &str) -> LevelFilter {
    let number = value.trim_ascii_start();
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let level = digits.get(..length).unwrap_or_default().parse().unwrap_or(u32::from(length > 0) * 9);
    match level {
        0 => LevelFilter::Error,
        _ if number.starts_with('-') => LevelFilter::Trace,
        1 => LevelFilter::Warn,
        2 => LevelFilter::Info,
        3 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_name_of_argv_0_decides() {
        for (name, persona) in [
            ("rinit", &RINIT),
            ("", &RINIT),
            ("/rinit", &RINIT),
            ("/usr/bin/tini-static", &TINI),
            ("/sbin/docker-init", &TINI),
            ("tini", &TINI),
            ("/run/podman-init", &CATATONIT),
            ("/usr/libexec/podman/catatonit", &CATATONIT),
            ("dumb-init", &DUMB_INIT),
            ("/tini/app", &RINIT),
            ("mytini", &RINIT),
        ] {
            assert!(std::ptr::eq(Persona::of(name.as_bytes()), persona), "{name}");
        }
    }

    #[test]
    fn a_verbosity_is_read_as_atoi_reads_it() {
        for (value, level) in [
            ("0", LevelFilter::Error),
            ("", LevelFilter::Error),
            ("abc", LevelFilter::Error),
            ("1", LevelFilter::Warn),
            (" 2x", LevelFilter::Info),
            ("+3", LevelFilter::Debug),
            ("4", LevelFilter::Trace),
            ("-1", LevelFilter::Trace),
            ("99999999999", LevelFilter::Trace),
        ] {
            assert_eq!(tini_level(value), level, "{value:?}");
        }
    }
}
