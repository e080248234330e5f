//! Variables that are set and mean nothing to rinit, though somebody may think that they do.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

use log::warn;

use super::definition::SETTINGS;
use super::nearest::nearest;
use crate::logging::escape::Escaped;
use crate::persona::Persona;

/// Logs a warning for each variable that is one slip away from one of rinit's, and for each that would have changed what another init
/// does. Others that begin with `RINIT_` are ignored in silence: Kubernetes sets `RINIT_SERVICE_HOST` and the like in the pods beside a
/// service that is named rinit.
pub(crate) fn warn_of_ignored(persona: &'static Persona, entries: impl Iterator<Item = &'static CStr>) {
    for entry in entries {
        let mut parts = entry.to_bytes().splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if name.starts_with(b"RINIT_") {
            warn_of_slip(name);
        } else if name.starts_with(b"TINI_") || name.starts_with(b"DUMB_INIT_") {
            warn_of_foreign(persona, name, value);
        }
    }
}

// Out of line, so that a start without such a variable does not have its stack frame.
#[inline(never)]
fn warn_of_slip(name: &[u8]) {
    let Ok(text) = std::str::from_utf8(name) else { return };
    if let Some((known, 1)) = nearest(text, SETTINGS.iter().map(|setting| setting.variable)) {
        warn!("ignoring the unknown variable {}; is {known} meant?", Escaped::bytes(name));
    }
}

#[inline(never)]
fn warn_of_foreign(persona: &'static Persona, name: &[u8], value: &[u8]) {
    let text = OsStr::from_bytes(value).to_string_lossy();
    for other in persona.others() {
        let variable = other.variables.iter().find(|variable| variable.name.as_bytes() == name);
        if let Some(meaning) = variable.and_then(|variable| (variable.meaning)(&text)) {
            let (name, option, owner) = (Escaped::bytes(name), meaning.option(), other.name());
            warn!("ignoring {name}, which is for {owner}; see {option}, or call rinit by the name {owner}");
        }
    }
}
