//! The contract's rules for values, written a second time: what `src` reads is held against them, by `tests/integration/input.rs`
//! with some thousand values in each run, and by `fuzz/` with as many as one has time for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rinit::config::{Action, Target};
use rinit::persona::RINIT;
use rinit::signal::Signal;
use rinit::sys::arguments::Arguments;

/// The variables, each by its option's name.
pub const VARIABLES: [(&str, &str); 11] = [
    ("single-child", "RINIT_SINGLE_CHILD"),
    ("all", "RINIT_ALL"),
    ("warn-on-reap", "RINIT_WARN_ON_REAP"),
    ("rewrite", "RINIT_REWRITE"),
    ("remap-exit", "RINIT_REMAP_EXIT"),
    ("parent-death-signal", "RINIT_PARENT_DEATH_SIGNAL"),
    ("grace", "RINIT_GRACE"),
    ("kill-after", "RINIT_KILL_AFTER"),
    ("wait-all", "RINIT_WAIT_ALL"),
    ("kill-process-group", "RINIT_KILL_PROCESS_GROUP"),
    ("verbose", "RINIT_LOG"),
];

const NAMES: [(&str, i32); 34] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// Whether an option or its variable, which is not empty then, takes this value.
pub fn is_accepted(option: &str, value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    match option {
        "rewrite" => text.split(',').all(|item| rewrite(item).is_some()),
        "remap-exit" => text.split(',').all(|item| number(item, 255).is_some()),
        "parent-death-signal" => signal(text).is_some(),
        "grace" | "kill-after" => nanoseconds(text).is_some(),
        "verbose" => is_filter(text),
        _ => boolean(text).is_some(),
    }
}

/// Reads a variable as rinit does, and holds acceptance and meaning against the rules.
pub fn check(option: &str, variable: &str, value: &[u8]) {
    // rinit's variables live as long as the process, so this one is leaked for as long as the configuration is used.
    let leaked: *mut [u8] = Box::into_raw(value.into());
    // SAFETY: freed below, when the configuration is gone.
    check_leaked(option, variable, unsafe { &*leaked });
    // SAFETY: it came from a box.
    drop(unsafe { Box::from_raw(leaked) });
}

fn check_leaked(option: &str, variable: &str, value: &'static [u8]) {
    let given = |name: &str| (name == variable).then(|| OsStr::from_bytes(value));
    let shown = value.escape_ascii();
    let mut argv = [c"x".as_ptr(), std::ptr::null()];
    // SAFETY: a C string and a null pointer, which stay as long as the words are used.
    let words = unsafe { Arguments::new(1, argv.as_mut_ptr()) };
    let config = match rinit::cli::parse(&RINIT, words, &given) {
        Ok(Action::Run(config, _)) => {
            assert!(value.is_empty() || is_accepted(option, value), "{variable}={shown} was accepted");
            config
        }
        Ok(other) => panic!("{variable}={shown} gave {other:?}"),
        Err(error) => {
            assert!(!value.is_empty() && !is_accepted(option, value), "{variable}={shown} was refused: {error}");
            let error = error.to_string();
            assert!(error.starts_with(variable) && !error.contains(char::is_control), "{error:?}");
            return;
        }
    };
    let text = std::str::from_utf8(value).unwrap();
    let says = |name: &str| option == name && boolean(text) == Some(true);
    assert_eq!(config.warn_on_reap, says("warn-on-reap"));
    assert_eq!(config.target == Target::MainChild, says("single-child"));
    assert_eq!(config.target == Target::Everyone, says("all"));
    let items = |name: &str| if option == name { text.split(',').collect() } else { Vec::new() };
    let rules: Vec<_> = items("rewrite").into_iter().filter_map(rewrite).collect();
    for from in 1..=64 {
        // The last rule for a signal counts.
        let to = rules.iter().rev().find(|rule| rule.0 == from).map_or(from, |rule| rule.1);
        let applied = config.rewrites.apply(Signal::from_number(from).unwrap());
        assert_eq!(applied.map_or(0, Signal::number), to, "{shown}: {from}");
    }
    for code in 0..=255 {
        let is_listed = items("remap-exit").into_iter().any(|item| number(item, 255) == Some(code.into()));
        assert_eq!(config.remapped.contains(code), is_listed, "{shown}: {code}");
    }
    let on_death = if option == "parent-death-signal" { signal(text) } else { None };
    assert_eq!(config.parent_death_signal.map(Signal::number), on_death, "{shown}");
    let grace = if option == "grace" { nanoseconds(text).unwrap_or(0) } else { 0 };
    let seconds = u64::try_from(grace / 1_000_000_000).unwrap();
    assert_eq!(config.grace, Duration::from_secs(seconds) + Duration::from_nanos((grace % 1_000_000_000) as u64));
    assert_eq!(config.wait_all, says("wait-all"));
    let kills = option == "kill-after" && nanoseconds(text).is_some_and(|time| time > 0);
    assert_eq!(config.kill_after.is_some(), kills, "{shown}");
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["1", "true", "yes", "on"]) { Some(true) } else { is(["0", "false", "no", "off"]).then_some(false) }
}

/// Digits alone, up to a largest number.
fn number(text: &str, largest: u128) -> Option<u128> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let significant = text.trim_start_matches('0');
    if !is_number || significant.len() > 38 {
        return None;
    }
    Some(significant.parse().unwrap_or(0)).filter(|number| *number <= largest)
}

fn signal(text: &str) -> Option<i32> {
    if let Some(number) = number(text, 64) {
        return (number > 0).then_some(number as i32);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |digits| number(digits, 30).map(|offset| offset as i32);
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(34),
        (_, Some("")) => Some(64),
        (Some(after), _) => Some(34 + offset(after.strip_prefix('+')?)?),
        (_, Some(after)) => Some(64 - offset(after.strip_prefix('-')?)?),
        _ => NAMES.iter().find(|known| known.0 == name).map(|known| known.1),
    }
}

/// FROM and TO, which is 0 where the signal is dropped.
fn rewrite(item: &str) -> Option<(i32, i32)> {
    let parts: Vec<&str> = item.split(':').collect();
    let [from, to] = parts.try_into().ok()?;
    let from = signal(from).filter(|from| ![9, 17, 19, 32, 33].contains(from))?;
    let is_dropped = to == "0" || to.eq_ignore_ascii_case("none");
    Some((from, if is_dropped { 0 } else { signal(to)? }))
}

fn nanoseconds(text: &str) -> Option<u128> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let with_unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (decimal, unit) = with_unit.unwrap_or((text, 1));
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if whole.is_empty() && fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // As one number of nanoseconds: nine digits after the point, and no point.
    let digits = format!("{whole}{fraction:0<9.9}");
    let seconds = i64::MAX as u128;
    Some(number(&digits, seconds * 1_000_000_000 * 2)? * unit).filter(|all| all / 1_000_000_000 <= seconds)
}

fn is_filter(text: &str) -> bool {
    let level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(word.trim()))
    };
    let module = |word: &str| word.trim() == "rinit" || word.trim().starts_with("rinit::");
    let is_right = |directive: &str| {
        let sides: Vec<&str> = directive.splitn(2, '=').collect();
        match sides[..] {
            [one] => level(one) || module(one),
            // env_logger takes a blank before the `=` for a part of the name.
            [name, most] => module(name) && name.trim_end() == name && level(most),
            _ => false,
        }
    };
    !text.contains('/') && text.split(',').all(is_right)
}
