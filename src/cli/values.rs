//! Values of options and variables: signals, rewrites, exit codes, durations, booleans, log
//! filters.
//!
//! Each reader gets the source of the value (`--grace`, `RINIT_GRACE`) and the value. Its error
//! names both, and says what is accepted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use log::LevelFilter;

use crate::error::Error;
use crate::logging::escape::Escaped;
use crate::signal::Signal;

const SIGNALS: &str = "signals are names (TERM, SIGTERM), numbers 1 to 64, RTMIN+n or RTMAX-n";

/// The error for a value that is not accepted.
pub(super) fn refused(source: &str, value: &OsStr, accepted: &str) -> Error {
    Error::Usage(format!("{source}: '{}' is not accepted; {accepted}", Escaped(value.as_bytes())))
}

pub(super) fn boolean(source: &str, value: &OsStr) -> Result<bool, Error> {
    match value.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "true" | "yes" | "on") => Ok(true),
        Some("0" | "false" | "no" | "off") => Ok(false),
        _ => Err(refused(source, value, "use 1, true, yes, on or 0, false, no, off")),
    }
}

/// Reads `FROM:TO`: a signal, and the one to forward in its place. `None` drops it. Unless
/// `takes_any`, FROM has to be a signal that rinit forwards.
pub(super) fn rewrite(source: &str, value: &OsStr, takes_any: bool) -> Result<(Signal, Option<Signal>), Error> {
    let wrong = |why: &str| refused(source, value, &format!("{why}; use FROM:TO; {SIGNALS}; TO 0 or none drops it"));
    let (from, to) = value.to_str().and_then(|text| text.split_once(':')).ok_or_else(|| wrong("it has no colon"))?;
    if to.contains(':') {
        return Err(wrong("it has more than one colon"));
    }
    let signal = |name: &str| {
        Signal::parse(name).ok_or_else(|| wrong(&format!("unknown signal '{}'", Escaped(name.as_bytes()))))
    };
    let from = signal(from)?;
    if !takes_any && !from.is_forwarded() {
        return Err(refused(source, value, &format!("{from} is never forwarded")));
    }
    let drops = to == "0" || to.eq_ignore_ascii_case("none");
    Ok((from, if drops { None } else { Some(signal(to)?) }))
}

pub(super) fn signal(source: &str, value: &OsStr) -> Result<Signal, Error> {
    value.to_str().and_then(Signal::parse).ok_or_else(|| refused(source, value, SIGNALS))
}

pub(super) fn exit_code(source: &str, value: &OsStr) -> Result<u8, Error> {
    let text = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let code = text.and_then(|digits| digits.parse().ok());
    code.ok_or_else(|| refused(source, value, "exit codes are numbers from 0 to 255"))
}

/// Reads a duration as sleep(1) and timeout(1) do: a decimal number of seconds, or of the unit that
/// follows it.
pub(super) fn duration(source: &str, value: &OsStr) -> Result<Duration, Error> {
    read_duration(value.to_str().unwrap_or_default())
        .ok_or_else(|| refused(source, value, "durations are like 10, 0.5, 10s, 2m, 1h or 1d"))
}

/// Reads the digits before and after the point as whole numbers, to the nanosecond: a parser for
/// floating-point numbers would add 20 KiB to the binary.
fn read_duration(text: &str) -> Option<Duration> {
    const NANOS: u128 = 1_000_000_000;
    const UNITS: [(char, u128); 4] = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];
    let with_unit = UNITS.iter().find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, *unit)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok().map(u64::into) };
    // Later digits are dropped: the kernel counts no time below a nanosecond.
    let digits = fraction.get(..9).unwrap_or(fraction);
    let scale: u128 = 10u64.checked_pow(u32::try_from(9 - digits.len()).ok()?)?.into();
    let nanos = (value(whole)? * NANOS + value(digits)? * scale) * unit;
    let seconds = u64::try_from(nanos / NANOS).ok().filter(|seconds| i64::try_from(*seconds).is_ok())?;
    Some(Duration::new(seconds, u32::try_from(nanos % NANOS).ok()?))
}

/// Reads a filter for env_logger: levels, and modules of rinit with or without a level.
/// env_logger's search (`/TEXT`) is refused, since searching a message allocates.
pub(super) fn log_filter<'a>(source: &str, value: &'a OsStr) -> Result<&'a str, Error> {
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_module = |word: &str| word == "rinit" || word.starts_with("rinit::");
    let is_directive = |directive: &str| match directive.split_once('=') {
        Some((module, level)) => is_module(module) && is_level(level.trim()),
        None => is_level(directive) || is_module(directive),
    };
    let text = value.to_str().filter(|text| !text.contains('/'));
    text.filter(|text| text.split(',').all(|directive| is_directive(directive.trim()))).ok_or_else(|| {
        let accepted = "use off, error, warn, info, debug or trace, or a comma-separated list with levels for \
                        parts of rinit, such as warn,rinit::init::reap=debug";
        refused(source, value, accepted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_sleep() {
        for (text, millis) in [
            ("0", 0),
            ("10", 10_000),
            ("0.5", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5m", 90_000),
            (".5", 500),
            ("5.", 5_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(read_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(read_duration("0.0000000019"), Some(Duration::from_nanos(1)));
        for text in [
            "",
            ".",
            "s",
            "-1",
            "+1",
            "1x",
            "1 s",
            "inf",
            "NaN",
            "nan",
            "infinity",
            "1e3",
            "0x1",
            "1.2.3",
            "99999999999999999999",
            "9223372036854775807d",
            "1ms",
            "١",
        ] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }
}
