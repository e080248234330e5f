//! The command line and the variables: bytes in, an [`Action`] out. Nothing has been started yet, so here, and
//! only here, bad input is refused.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::builder::{OsStringValueParser, ValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use log::LevelFilter;

use crate::config::{Action, Config, ExitCodes, Rewrites, Target, Verbosity};
use crate::error::Error;
use crate::printable::Printable;
use crate::sys::signal::Signal;

const LICENSE: &str = include_str!("../LICENSE");

/// What `-h` and `--help` print: rendered by clap from [`command`] beforehand, since rendering it in every binary
/// would be 44 KiB of code. `tests/help.rs` holds them against the definition.
const SHORT_HELP: &str = include_str!("help/short.txt");
const LONG_HELP: &str = include_str!("help/long.txt");

const SIGNALS: &str = "signals are names (TERM, SIGTERM), numbers 1 to 64, RTMIN+n or RTMAX-n";

/// The command line's definition: what `--help`, the man page and the shell completions are made of.
pub fn command() -> Command {
    Command::new("rinit")
        .version(concat!(env!("CARGO_PKG_VERSION"), " - git.", env!("RINIT_COMMIT")))
        .about("An init for containers: reaps orphans, passes signals on, exits with the command's code.")
        .override_usage(
            "rinit [OPTIONS] [--] COMMAND [ARGS]...\n       rinit --pause | --install PATH | --zombies",
        )
        .after_help(
            "Every option but the ones under \"Instead of a command\" can be given by its variable as well; the\n\
             command line wins. Booleans are 1, true, yes, on or 0, false, no, off.\n\n\
             Exit codes: the command's own; 128 + n where signal n killed it; 127 command not found;\n\
             126 command cannot be run; 125 rinit itself failed.\n\n\
             Example, the last lines of a Dockerfile:\n  \
             ENTRYPOINT [\"/rinit\", \"--\"]\n  \
             CMD [\"/app/server\", \"--port\", \"8080\"]",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .next_help_heading("Signals")
        .arg(flag("single-child", 'c').help("Forward signals to the main child alone, not to its process group [env: RINIT_SINGLE_CHILD]"))
        .arg(flag("all", 'a').help("Forward signals to every process, those that daemonised included [env: RINIT_ALL]"))
        .arg(
            list("rewrite", 'r', "FROM:TO")
                .help("Forward signal TO in place of FROM, or nothing where TO is 0 or none; repeat it or separate by commas [env: RINIT_REWRITE]"),
        )
        .arg(
            value("parent-death-signal", "SIGNAL")
                .short('p')
                .help("Receive SIGNAL, and so forward it, when rinit's own parent dies [env: RINIT_PARENT_DEATH_SIGNAL]"),
        )
        .next_help_heading("Leaving")
        .arg(
            list("remap-exit", 'e', "CODE")
                .help("Exit with 0 where the command's code would be CODE, such as 143 for a JVM; repeat it or separate by commas [env: RINIT_REMAP_EXIT]"),
        )
        .arg(
            value("grace", "DURATION")
                .help("When the command has ended, send SIGTERM to what is left and wait this long for it: 10, 0.5, 10s, 2m, 1h; default 0, exit at once [env: RINIT_GRACE]"),
        )
        .next_help_heading("Messages")
        .arg(flag("warn-on-reap", 'w').help("Warn of each orphan reaped: pid, name, how it ended [env: RINIT_WARN_ON_REAP]"))
        .arg(
            Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count)
                .help("Say more on stderr: -v info, -vv debug, -vvv trace [env: RINIT_LOG, an env_logger filter]"),
        )
        .next_help_heading("Instead of a command")
        .arg(flag("pause", 'P').help("Run no command: reap and wait, exit 0 on SIGTERM or SIGINT"))
        .arg(value("install", "PATH").help("Copy this binary to PATH, a file or a directory, and exit"))
        .arg(Arg::new("zombies").long("zombies").action(ArgAction::SetTrue).help("List the zombies and the parents that fail to wait for them; exits 1 where there are some"))
        .next_help_heading("About")
        .arg(flag("help", 'h').help("Print this help"))
        .arg(flag("version", 'V').help("Print the version"))
        .arg(flag("license", 'l').short_alias('L').help("Print the license"))
        .next_help_heading("Accepted for users of tini and catatonit")
        .arg(flag("subreaper", 's').hide_short_help(true).help("rinit is always subreaper where it is not PID 1"))
        .arg(flag("kill-process-group", 'g').hide_short_help(true).help("rinit always forwards to the process group, unless -c or -a is given"))
        .arg(
            Arg::new("command").value_name("COMMAND").num_args(0..).trailing_var_arg(true).hide(true)
                .value_parser(ValueParser::os_string()),
        )
}

fn flag(name: &'static str, short: char) -> Arg {
    Arg::new(name).long(name).short(short).action(ArgAction::SetTrue)
}

fn value(name: &'static str, placeholder: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .value_parser(OsStringValueParser::new())
        // `-e -1` is a wrong value of -e, not an unknown option.
        .allow_hyphen_values(true)
}

fn list(name: &'static str, short: char, placeholder: &'static str) -> Arg {
    value(name, placeholder).short(short).action(ArgAction::Append)
}

/// How a variable is looked up, by its name.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<&'v OsStr>;

/// Reads the command line (without the program's own name) and the variables.
///
/// # Errors
/// [`Error::Usage`] for anything that is not exactly as the contract has it.
pub fn parse<'a>(words: &'a [&'static CStr], variables: Variables<'_>) -> Result<Action<'a>, Error> {
    match words.first() {
        // The usual ENTRYPOINT has no options: nothing for clap to do.
        Some(first) if first.to_bytes() == b"--" => run(&Given::NONE, variables, words.get(1..)),
        Some(first) if is_option(first) => parse_options(words, variables),
        _ => run(&Given::NONE, variables, Some(words)),
    }
}

/// The command line with options. On its own, so that clap's large frames are not under the init's for life.
#[inline(never)]
fn parse_options<'a>(words: &'a [&'static CStr], variables: Variables<'_>) -> Result<Action<'a>, Error> {
    let line = words.iter().map(|word| OsStr::from_bytes(word.to_bytes()));
    let matches = command()
        .try_get_matches_from([OsStr::new("rinit")].into_iter().chain(line))
        .map_err(|error| Error::Usage(explain(&error)))?;
    let rest = matches.get_raw("command").map_or(0, Iterator::count);
    let rest = words.get(words.len().saturating_sub(rest)..).unwrap_or_default();
    let given = Given { matches: Some(&matches) };

    if given.flag("help") {
        let short = words.iter().any(|word| word.to_bytes() == b"-h");
        return Ok(Action::Print(if short { SHORT_HELP } else { LONG_HELP }.to_owned()));
    }
    if given.flag("version") {
        return Ok(Action::Print(command().render_version()));
    }
    if given.flag("license") {
        return Ok(Action::Print(LICENSE.to_owned()));
    }
    let modes = [
        ("--pause", given.flag("pause")),
        ("--install", given.value("install").is_some()),
        ("--zombies", given.flag("zombies")),
    ];
    let mut chosen = modes.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    let Some(mode) = chosen.next() else {
        return run(&given, variables, Some(rest));
    };
    if let Some(other) = chosen.next() {
        return Err(Error::Usage(format!("{mode} and {other} exclude each other; give one of them")));
    }
    if let Some(word) = rest.first() {
        return Err(Error::Usage(format!(
            "{mode} runs no command, but '{}' was given; leave one of them out",
            Printable::bytes(word.to_bytes())
        )));
    }
    match given.value("install") {
        Some(path) if path.is_empty() => Err(Error::value("--install", path, "PATH is a file to write or a directory")),
        Some(path) => Ok(Action::Install(path.clone())),
        None if given.flag("zombies") => Ok(Action::Zombies),
        None => Ok(Action::Pause(config(&given, variables)?)),
    }
}

/// Whether a word before the command is an option. A lone `-` is a name, as for the shell.
fn is_option(word: &CStr) -> bool {
    matches!(word.to_bytes(), [b'-', _, ..])
}

fn run<'a>(
    given: &Given<'_>,
    variables: Variables<'_>,
    words: Option<&'a [&'static CStr]>,
) -> Result<Action<'a>, Error> {
    let config = config(given, variables)?;
    match words {
        Some(words) if !words.is_empty() => Ok(Action::Run(config, words)),
        _ => Err(Error::Usage(
            "no command given; usage: rinit [OPTIONS] [--] COMMAND [ARGS]..., see 'rinit --help'".into(),
        )),
    }
}

/// The options that were given: none, where clap had nothing to read.
struct Given<'a> {
    matches: Option<&'a ArgMatches>,
}

impl Given<'_> {
    const NONE: Given<'static> = Given { matches: None };

    fn flag(&self, name: &str) -> bool {
        self.matches.is_some_and(|matches| matches.get_flag(name))
    }

    fn count(&self, name: &str) -> u8 {
        self.matches.map_or(0, |matches| matches.get_count(name))
    }

    fn value(&self, name: &str) -> Option<&OsString> {
        self.matches?.get_one(name)
    }

    fn values(&self, name: &str) -> Vec<&OsString> {
        self.matches.and_then(|matches| matches.get_many(name)).map_or(Vec::new(), Iterator::collect)
    }
}

/// Everything but the command. A variable is checked even where the command line wins over it.
fn config(given: &Given<'_>, variables: Variables<'_>) -> Result<Config, Error> {
    // An empty variable is an unset one, as for a Kubernetes manifest that leaves it blank.
    let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
    let switched_on = |name: &'static str| match variable(name) {
        Some(value) => boolean(name, value),
        None => Ok(false),
    };

    let rewrites = each(given, "rewrite", &variable, "RINIT_REWRITE", rewrite)?;
    let remapped = each(given, "remap-exit", &variable, "RINIT_REMAP_EXIT", exit_code)?;
    let parent_death_signal =
        one(given, "parent-death-signal", &variable, "RINIT_PARENT_DEATH_SIGNAL", parent_death_signal)?;
    let grace = one(given, "grace", &variable, "RINIT_GRACE", duration)?;
    let filter = variable("RINIT_LOG").map(|value| filter("RINIT_LOG", value)).transpose()?;
    let warn_on_reap = switched_on("RINIT_WARN_ON_REAP")?;

    Ok(Config {
        target: target(
            (given.flag("single-child"), given.flag("all")),
            (switched_on("RINIT_SINGLE_CHILD")?, switched_on("RINIT_ALL")?),
        )?,
        rewrites: rewrites.into_iter().fold(Rewrites::default(), |mut rules, (from, to)| {
            rules.add(from, to);
            rules
        }),
        remapped: remapped.into_iter().fold(ExitCodes::default(), |mut codes, code| {
            codes.add(code);
            codes
        }),
        parent_death_signal,
        grace: grace.unwrap_or_default(),
        warn_on_reap: given.flag("warn-on-reap") || warn_on_reap,
        verbosity: match (given.count("verbose"), filter) {
            (0, Some(filter)) => Verbosity::Filter(filter),
            (0, None) => Verbosity::Level(LevelFilter::Warn),
            (1, _) => Verbosity::Level(LevelFilter::Info),
            (2, _) => Verbosity::Level(LevelFilter::Debug),
            (_, _) => Verbosity::Level(LevelFilter::Trace),
        },
    })
}

/// The target that (single child, all) mean, on the command line and, where that says nothing, in variables.
fn target(line: (bool, bool), variables: (bool, bool)) -> Result<Target, Error> {
    match (line, variables) {
        ((true, true), _) => Err(Error::Usage("-c and -a exclude each other; give one of them".into())),
        ((true, false), _) => Ok(Target::MainChild),
        ((false, true), _) => Ok(Target::Everyone),
        (_, (true, true)) => {
            Err(Error::Usage("RINIT_SINGLE_CHILD and RINIT_ALL exclude each other; set one of them".into()))
        }
        (_, (true, false)) => Ok(Target::MainChild),
        (_, (false, true)) => Ok(Target::Everyone),
        _ => Ok(Target::Group),
    }
}

/// A value of an option or a variable is read by one of these: by name of the source, and the value.
type Reader<T> = fn(&str, &OsStr) -> Result<T, Error>;

/// The one value of an option, else of its variable.
fn one<T>(
    given: &Given<'_>,
    option: &str,
    variables: Variables<'_>,
    name: &str,
    read: Reader<T>,
) -> Result<Option<T>, Error> {
    let from_variable = variables(name).map(|value| read(name, value)).transpose()?;
    let from_line = given.value(option).map(|value| read(&format!("--{option}"), value)).transpose()?;
    Ok(from_line.or(from_variable))
}

/// The values of a list option, else of its variable.
fn each<T>(
    given: &Given<'_>,
    option: &str,
    variables: Variables<'_>,
    name: &str,
    read: Reader<T>,
) -> Result<Vec<T>, Error> {
    let split = |source: &str, list: &OsStr| -> Result<Vec<T>, Error> {
        list.as_bytes().split(|byte| *byte == b',').map(|item| read(source, OsStr::from_bytes(item))).collect()
    };
    let from_variable = variables(name).map(|list| split(name, list)).transpose()?;
    let mut from_line = Vec::new();
    for list in given.values(option) {
        from_line.extend(split(&format!("--{option}"), list)?);
    }
    Ok(if from_line.is_empty() { from_variable.unwrap_or_default() } else { from_line })
}

fn boolean(source: &str, value: &OsStr) -> Result<bool, Error> {
    match value.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "true" | "yes" | "on") => Ok(true),
        Some("0" | "false" | "no" | "off") => Ok(false),
        _ => Err(Error::value(source, value, "use 1, true, yes, on or 0, false, no, off")),
    }
}

/// `FROM:TO`; TO none where the signal is to be dropped.
fn rewrite(source: &str, value: &OsStr) -> Result<(Signal, Option<Signal>), Error> {
    let wrong =
        |why: &str| Error::value(source, value, &format!("{why}; use FROM:TO, {SIGNALS}, TO 0 or none drops it"));
    let text = value.to_str().ok_or_else(|| wrong("it is not text"))?;
    let (from, to) = text.split_once(':').ok_or_else(|| wrong("it has no colon"))?;
    if to.contains(':') {
        return Err(wrong("it has more than one colon"));
    }
    let from = Signal::parse(from).ok_or_else(|| wrong("FROM is no signal"))?;
    if !crate::forward::is_forwarded(from) {
        return Err(wrong("FROM cannot be received or is not forwarded"));
    }
    match to {
        "0" => Ok((from, None)),
        none if none.eq_ignore_ascii_case("none") => Ok((from, None)),
        _ => Ok((from, Some(Signal::parse(to).ok_or_else(|| wrong("TO is no signal"))?))),
    }
}

fn parent_death_signal(source: &str, value: &OsStr) -> Result<Signal, Error> {
    let signal = value.to_str().and_then(Signal::parse);
    signal.ok_or_else(|| Error::value(source, value, SIGNALS))
}

fn exit_code(source: &str, value: &OsStr) -> Result<u8, Error> {
    let wrong = || Error::value(source, value, "exit codes are numbers from 0 to 255");
    let text = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)
}

/// A duration as sleep(1) and timeout(1) have it: a decimal number of seconds, or of the unit that follows.
fn duration(source: &str, value: &OsStr) -> Result<Duration, Error> {
    read_duration(value.to_str().unwrap_or_default())
        .ok_or_else(|| Error::value(source, value, "durations are like 10, 0.5, 10s, 2m, 1h or 1d"))
}

/// Reads it by whole numbers, nanoseconds exactly: the float parser would be 20 KiB for this one option.
fn read_duration(text: &str) -> Option<Duration> {
    const NANOS: u128 = 1_000_000_000;
    let (number, unit) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 60 * 60),
        b'd' => (text.strip_suffix('d')?, 24 * 60 * 60),
        _ => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    // What is less than a nanosecond cannot be told to the kernel.
    let digits = fraction.get(..9).unwrap_or(fraction);
    let parts: u128 = if digits.is_empty() { 0 } else { digits.parse::<u64>().ok()?.into() };
    let scale = u128::from(10u64.checked_pow(u32::try_from(9 - digits.len()).ok()?)?);
    let nanos = (whole * NANOS + parts * scale) * unit;
    let seconds = u64::try_from(nanos / NANOS).ok().filter(|seconds| i64::try_from(*seconds).is_ok())?;
    Some(Duration::new(seconds, u32::try_from(nanos % NANOS).ok()?))
}

/// An env_logger filter: levels, and modules of rinit with or without a level.
fn filter(source: &str, value: &OsStr) -> Result<String, Error> {
    let wrong = || {
        Error::value(
            source,
            value,
            "use off, error, warn, info, debug or trace, also for a part (rinit::reap=debug), separated by commas",
        )
    };
    let text = value.to_str().ok_or_else(wrong)?;
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_module = |word: &str| word == "rinit" || word.starts_with("rinit::");
    // What follows a slash is searched for in the messages. At a second one env_logger would drop the whole filter and
    // say so on stderr itself, in a line that blocks.
    let (directives, search) = text.split_once('/').unwrap_or((text, ""));
    if search.contains('/') {
        return Err(wrong());
    }
    let is_right = directives.split(',').all(|directive| match directive.trim().split_once('=') {
        Some((module, level)) => is_module(module.trim()) && is_level(level.trim()),
        None => is_level(directive.trim()) || is_module(directive.trim()),
    });
    if is_right { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// clap's refusal in one line: its own rendering has several.
fn explain(error: &clap::Error) -> String {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Printable::bytes(text.as_bytes()).to_string(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let argument = word(ContextKind::InvalidArg);
    let value = word(ContextKind::InvalidValue);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            format!("unknown option '{argument}'; what belongs to the command comes after it or after --")
        }
        ErrorKind::TooManyValues => format!("option '{argument}' takes no value, but '{value}' was given"),
        ErrorKind::InvalidValue if value.is_empty() => format!("option '{argument}' needs a value"),
        ErrorKind::InvalidValue => format!("option '{argument}' does not accept '{value}'"),
        _ => format!("option '{argument}' is wrong: {}", error.kind()),
    };
    format!("{what}; see 'rinit --help'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&'static str]) -> Result<Action<'static>, Error> {
        parse_with(words, &[])
    }

    fn parse_with(words: &[&'static str], variables: &[(&str, &str)]) -> Result<Action<'static>, Error> {
        let words: Vec<&'static CStr> =
            words.iter().map(|word| &*Box::leak(std::ffi::CString::new(*word).unwrap().into_boxed_c_str())).collect();
        parse(words.leak(), &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsStr::new(*value))
        })
    }

    fn config_of(words: &[&'static str], variables: &[(&str, &str)]) -> Config {
        match parse_with(words, variables).unwrap() {
            Action::Run(config, _) | Action::Pause(config) => config,
            other => panic!("{other:?}"),
        }
    }

    fn command_of(words: &[&'static str]) -> Vec<&'static str> {
        match parse_words(words).unwrap() {
            Action::Run(_, command) => command.iter().map(|word| word.to_str().unwrap()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_first_word_that_is_no_option_starts_the_command() {
        assert_eq!(command_of(&["ls", "-la", "--help"]), ["ls", "-la", "--help"]);
        assert_eq!(command_of(&["-w", "ls", "-w", "--", "x"]), ["ls", "-w", "--", "x"]);
        assert_eq!(command_of(&["--", "-x", "--", "y"]), ["-x", "--", "y"]);
        assert_eq!(command_of(&["-s", "-g", "--", "--", "y"]), ["--", "y"]);
        assert_eq!(command_of(&["-"]), ["-"]);
        assert_eq!(command_of(&["-v", "-"]), ["-"]);
        assert_eq!(command_of(&["", "x"]), ["", "x"]);
        assert_eq!(command_of(&["-w", "", "-v"]), ["", "-v"]);
        assert_eq!(command_of(&["-e", "1", "help", "--version"]), ["help", "--version"]);
    }

    #[test]
    fn the_command_lines_of_tini_dumb_init_and_catatonit_are_read() {
        for words in [
            &["-s", "--", "x"][..],
            &["-sgwvvv", "-p", "SIGTERM", "-e", "143", "x"],
            &["-e143", "-e", "0", "-pKILL", "x"],
            &["--single-child", "--rewrite", "15:2", "x"],
            &["-c", "-r", "15:3", "-r", "1:0", "-v", "--", "x"],
            &["--rewrite=2:3", "--verbose", "x"],
            &["-g", "-P"],
            &["-L"],
            &["-l"],
            &["-V"],
            &["-h"],
            &["--version"],
            &["--help"],
        ] {
            assert!(parse_words(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_variables() {
        let config = config_of(
            &["-c", "-e", "1", "-v", "x"],
            &[("RINIT_ALL", "1"), ("RINIT_REMAP_EXIT", "2,3"), ("RINIT_LOG", "trace"), ("RINIT_GRACE", "2m")],
        );
        assert_eq!(config.target, Target::MainChild);
        assert!(config.remapped.contains(1) && !config.remapped.contains(2));
        assert_eq!(config.verbosity, Verbosity::Level(LevelFilter::Info));
        assert_eq!(config.grace, Duration::from_secs(120));
    }

    #[test]
    fn empty_variables_are_unset_ones() {
        let names =
            ["RINIT_ALL", "RINIT_REWRITE", "RINIT_REMAP_EXIT", "RINIT_GRACE", "RINIT_LOG", "RINIT_PARENT_DEATH_SIGNAL"];
        let variables = names.map(|name| (name, ""));
        assert_eq!(config_of(&["x"], &variables), Config::default());
    }

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

    #[test]
    fn bad_input_is_refused_by_name_and_value() {
        let table: &[(&[&'static str], &[&str])] = &[
            (&["--frob", "x"], &["--frob"]),
            (&["-x", "y"], &["-x"]),
            (&["-e", "256", "x"], &["--remap-exit", "256"]),
            (&["-e", "-1", "x"], &["--remap-exit", "-1"]),
            (&["-e", "1,,2", "x"], &["--remap-exit", "''"]),
            (&["-r", "TERM", "x"], &["--rewrite", "TERM", "colon"]),
            (&["-r", "TERM:INT:HUP", "x"], &["--rewrite", "colon"]),
            (&["-r", "KILL:TERM", "x"], &["KILL:TERM"]),
            (&["-r", "65:TERM", "x"], &["65:TERM"]),
            (&["-r", "0:TERM", "x"], &["0:TERM"]),
            (&["-r", "TERM:FOO", "x"], &["TERM:FOO"]),
            (&["-p", "0", "x"], &["--parent-death-signal", "'0'"]),
            (&["--grace", "-1", "x"], &["--grace", "-1"]),
            (&["--grace", "soon", "x"], &["--grace", "soon"]),
            (&["--grace"], &["--grace"]),
            (&["--pause=1"], &["--pause"]),
            (&["--pause", "x"], &["--pause", "x"]),
            (&["--pause", "--zombies"], &["--pause", "--zombies"]),
            (&["-c", "-a", "x"], &["-c", "-a"]),
            (&["--install", ""], &["--install"]),
            (&[], &["usage"]),
            (&["-v"], &["usage"]),
            (&["--"], &["usage"]),
        ];
        for (words, named) in table {
            let text = match parse_words(words) {
                Err(error) => error.to_string(),
                Ok(action) => panic!("{words:?} gave {action:?}"),
            };
            assert!(named.iter().all(|name| text.contains(name)), "{words:?} gave: {text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn bad_variables_are_refused_even_where_the_line_wins() {
        for (name, value) in [
            ("RINIT_ALL", "maybe"),
            ("RINIT_SINGLE_CHILD", "2"),
            ("RINIT_WARN_ON_REAP", "y"),
            ("RINIT_REWRITE", "TERM"),
            ("RINIT_REMAP_EXIT", "300"),
            ("RINIT_GRACE", "1y"),
            ("RINIT_LOG", "loud"),
            ("RINIT_LOG", "rinit=loud"),
            ("RINIT_LOG", "debug/one/two"),
            ("RINIT_PARENT_DEATH_SIGNAL", "NOPE"),
        ] {
            let words = ["-e", "1", "-r", "1:2", "--grace", "1", "-p", "1", "-vc", "-w", "x"];
            let text = match parse_with(&words, &[(name, value)]) {
                Err(error) => error.to_string(),
                Ok(action) => panic!("{name}={value} gave {action:?}"),
            };
            assert!(text.contains(name) && text.contains(value), "{text}");
        }
    }
}
