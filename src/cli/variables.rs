//! Warnings about variables that rinit ignores, although a user may expect that they have an
//! effect.

use log::{LevelFilter, warn};

use super::definition::SETTINGS;
use super::nearest::nearest;
use crate::config::{Config, Target, Verbosity};
use crate::logging::escape::Escaped;
use crate::persona::Meaning;
use crate::sys::environment;

const OWN: &str = "RINIT_";

/// Logs a warning for each variable that is one slip away from one of rinit's, and for each that
/// would change what another init does. Other variables that begin with `RINIT_` are ignored
/// without a warning: Kubernetes sets `RINIT_SERVICE_HOST` and the like in pods beside a service
/// that is named rinit.
pub(crate) fn warn_of_ignored(config: &Config) {
    for (_, rest) in environment::entries_with(OWN) {
        warn_of_slip(rest.to_bytes());
    }
    for other in config.persona.others() {
        for variable in other.variables {
            let value = environment::variable(variable.name);
            let meaning = value.and_then(|value| (variable.meaning)(&value.to_string_lossy()));
            if let Some(meaning) = meaning.filter(|meaning| !is_met(*meaning, config)) {
                let (name, option, owner) = (variable.name, meaning.option(), other.name());
                warn!("ignoring {name}, which is for {owner}; use {option}, or start rinit under the name {owner}");
            }
        }
    }
}

/// Whether the options ask for the same, or the variable for its owner's default.
fn is_met(meaning: Meaning, config: &Config) -> bool {
    match meaning {
        // The group is rinit's default, so the target does not show whether an option asks for it.
        Meaning::Target(target) => target != Target::Group && config.target == target,
        Meaning::Level(level) => level == LevelFilter::Warn || config.verbosity == Verbosity::Level(level),
    }
}

// Out of line, so that a start without such a variable does not have its stack frame.
#[inline(never)]
fn warn_of_slip(rest: &[u8]) {
    let name = rest.split(|byte| *byte == b'=').next().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(name) else { return };
    let known = SETTINGS.iter().filter_map(|setting| setting.variable.strip_prefix(OWN));
    let known = known.filter(|known| known.len().abs_diff(text.len()) <= 1);
    if let Some((known, 1)) = nearest(text, known) {
        warn!("ignoring the unknown variable {OWN}{}; did you mean {OWN}{known}?", Escaped(name));
    }
}
