//! From options and variables to an [`Action`]. A refusal is one line.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use log::LevelFilter;

use super::definition::{self as names, Setting};
use super::nearest::nearest;
use super::values;
use crate::config::{Action, Config, ExitCodes, OneShot, Rewrites, Target, Verbosity};
use crate::error::Error;
use crate::logging::escape::Escaped;
use crate::persona::{Meaning, Persona, Variable};
use crate::signal::Signal;
use crate::sys::arguments::Arguments;

const LICENSE: &str = include_str!("../../LICENSE");

/// What `-h` and `--help` print. clap has rendered these texts from the definition: the code for it
/// would add 44 KiB to the binary. A test compares them with the definition.
const SHORT_HELP: &str = include_str!("help/short.txt");
const LONG_HELP: &str = include_str!("help/long.txt");

const VERSION: &str = concat!("rinit ", env!("CARGO_PKG_VERSION"), " - git.", env!("RINIT_COMMIT"), "\n");

/// Looks a variable up by its name.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<&'static OsStr>;

/// Reads the command line (without the program's own name) and the variables.
///
/// # Errors
/// `Error::Usage` for invalid input.
///
/// Out of line, so that init does not keep its stack frame.
#[inline(never)]
pub fn parse(persona: &'static Persona, words: Arguments, variables: Variables<'_>) -> Result<Action, Error> {
    // The usual ENTRYPOINT has no options, so clap has nothing to parse.
    let begins_with = |kind: fn(&CStr) -> bool| words.first().is_some_and(kind);
    let has_options = begins_with(is_option) && !begins_with(is_separator);
    let matches = if has_options { Some(parse_options(persona, words)?) } else { None };
    let input = Input { matches: matches.as_ref(), variables };
    let command = match matches {
        Some(_) => words.last(input.values(names::COMMAND).count()),
        None => words.skip(usize::from(begins_with(is_separator))),
    };
    let before = words.count() - command.count();
    let is_long = words.iter().take(before).any(|word| word.to_bytes().starts_with(b"--h"));
    if let Some(one_shot) = one_shot(&input, if is_long { LONG_HELP } else { SHORT_HELP }, command)? {
        return Ok(Action::OneShot(one_shot));
    }
    let config = config(persona, &input)?;
    if input.flag(names::PAUSE) {
        return Ok(Action::Run(config, None));
    }
    if command.count() == 0 {
        let usage = "no command given; usage: rinit [OPTIONS] [--] COMMAND [ARGS]..., see 'rinit --help'";
        return Err(Error::Usage(usage.into()));
    }
    let is_separated = words.iter().take(before).last().is_some_and(is_separator);
    let drops_separator = persona.drops_separator && !is_separated && variables("POSIXLY_CORRECT").is_none();
    Ok(Action::Run(config, Some(if drops_separator { without_separator(command) } else { command })))
}

/// Parses a command line with options. Out of line, since the frames of clap are large.
#[inline(never)]
fn parse_options(persona: &'static Persona, words: Arguments) -> Result<ArgMatches, Error> {
    let line = words.iter().map(|word| OsStr::from_bytes(word.to_bytes()));
    let abbreviate = |command: clap::Command, (short, option): &(&'static str, &'static str)| {
        command.mut_arg(option, |argument| argument.alias(*short))
    };
    persona
        .abbreviations
        .iter()
        .fold(names::command(), abbreviate)
        .try_get_matches_from([OsStr::new("rinit")].into_iter().chain(line))
        .map_err(|error| Error::Usage(one_line_error(&error)))
}

/// What the options ask for instead of an init, if they do.
fn one_shot(input: &Input<'_>, help: &'static str, command: Arguments) -> Result<Option<OneShot>, Error> {
    let texts = [(names::HELP, help), (names::VERSION, VERSION), (names::LICENSE, LICENSE)];
    if let Some((_, text)) = texts.into_iter().find(|(option, _)| input.flag(option)) {
        return Ok(Some(OneShot::Print(text)));
    }
    let modes = [
        ("--pause", input.flag(names::PAUSE)),
        ("--install", input.value(names::INSTALL).is_some()),
        ("--zombies", input.flag(names::ZOMBIES)),
    ];
    let mut chosen = modes.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    let Some(mode) = chosen.next() else { return Ok(None) };
    if let Some(other) = chosen.next() {
        return Err(Error::Usage(format!("{mode} and {other} cannot be used together; use one of them")));
    }
    if let Some(word) = command.first() {
        let word = Escaped(word.to_bytes());
        return Err(Error::Usage(format!("{mode} runs no command, but '{word}' was given; leave one of them out")));
    }
    match input.value(names::INSTALL) {
        Some(path) if path.is_empty() => {
            Err(values::refused("--install", path, "PATH is a directory, or the file to write"))
        }
        Some(path) => Ok(Some(OneShot::Install(path.clone()))),
        None => Ok(input.flag(names::ZOMBIES).then_some(OneShot::Zombies)),
    }
}

/// Whether a word before the command is an option. A lone `-` is a name, as for the shell.
fn is_option(word: &CStr) -> bool {
    matches!(word.to_bytes(), [b'-', _, ..])
}

/// Whether a word ends the options.
fn is_separator(word: &CStr) -> bool {
    word.to_bytes() == b"--"
}

/// The command without its first `--`, as in `tini PROGRAM -- ARGS`. The original's getopt(3) drops
/// that word, unless an option comes before it: getopt(3) would take that option for the init's
/// own.
fn without_separator(command: Arguments) -> Arguments {
    match command.iter().position(is_option) {
        Some(place) if command.iter().nth(place).is_some_and(is_separator) => command.remove(place),
        _ => command,
    }
}

/// Builds the configuration. A variable is checked even if the command line overrides it.
fn config(persona: &'static Persona, input: &Input<'_>) -> Result<Config, Error> {
    let mut rewrites = Rewrites::default();
    let target = target(persona, input)?;
    if persona.starts_session && target == Target::Group {
        for stop in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            rewrites.add(stop, Some(Signal::STOP));
        }
    }
    let rewrite = |source: &str, value: &OsStr| values::rewrite(source, value, persona.takes_any_rewrite);
    input.list(names::REWRITE, &rewrite, |(from, to)| rewrites.add(from, to))?;
    let mut remapped = ExitCodes::default();
    input.list(names::REMAP_EXIT, &values::exit_code, |code| remapped.add(code))?;
    Ok(Config {
        persona,
        target,
        rewrites,
        remapped,
        parent_death_signal: input.single(names::PARENT_DEATH_SIGNAL, &values::signal)?,
        grace: input.single(names::GRACE, &values::duration)?.unwrap_or_default(),
        wait_all: input.boolean(names::WAIT_ALL)?,
        kill_after: input.single(names::KILL_AFTER, &values::duration)?.filter(|after| !after.is_zero()),
        warn_on_reap: input.boolean(names::WARN_ON_REAP)?,
        verbosity: verbosity(persona, input)?,
    })
}

/// Which processes signals go to. The command line comes first, then rinit's variables, then the
/// original's, then the default of the name.
fn target(persona: &'static Persona, input: &Input<'_>) -> Result<Target, Error> {
    let exclusive = |one: bool, other: bool, names: &str| match one && other {
        true => Err(Error::Usage(format!("{names} cannot be used together; use one of them"))),
        false => Ok(()),
    };
    let [single_child, all, group] =
        [names::SINGLE_CHILD, names::ALL, names::GROUP].map(|setting| input.flag(setting.option));
    exclusive(single_child, all, "-c and -a")?;
    let (single_child_variable, all_variable) =
        (input.boolean_variable(names::SINGLE_CHILD)?, input.boolean_variable(names::ALL)?);
    // If an option decides, the variables may contradict each other.
    let is_open = !single_child && !all && !group;
    exclusive(is_open && single_child_variable, all_variable, "RINIT_SINGLE_CHILD and RINIT_ALL")?;
    let group_variable = input.boolean_variable(names::GROUP)?;
    let foreign = input.foreign(persona, Meaning::target);
    let candidates = [
        (single_child, Target::MainChild),
        (all, Target::Everyone),
        (group, Target::Group),
        (single_child_variable, Target::MainChild),
        (all_variable, Target::Everyone),
        (group_variable && persona.target != Target::Group, Target::Group),
    ];
    let own = candidates.into_iter().find_map(|(is_given, target)| is_given.then_some(target));
    Ok(own.or(foreign).unwrap_or(persona.target))
}

/// What is logged. `-v` overrides RINIT_LOG. Without RINIT_LOG, the original's variable overrides
/// `-v`, as in the original.
fn verbosity(persona: &'static Persona, input: &Input<'_>) -> Result<Verbosity, Error> {
    let filter = input.variable(names::VERBOSE.variable);
    let filter = filter.map(|value| values::log_filter(names::VERBOSE.variable, value)).transpose()?;
    let foreign = input.foreign(persona, Meaning::level);
    let verbose = input.matches.map_or(0, |matches| matches.get_count(names::VERBOSE.option));
    Ok(match (verbose, filter, foreign) {
        (0, Some(filter), _) => Verbosity::Filter(filter),
        (_, None, Some(level)) => Verbosity::Level(level),
        (0, ..) => Verbosity::Level(LevelFilter::Warn),
        (1, ..) => Verbosity::Level(LevelFilter::Info),
        (2, ..) => Verbosity::Level(LevelFilter::Debug),
        _ => Verbosity::Level(LevelFilter::Trace),
    })
}

/// Reads a value. The first argument is the option or the variable that has it.
type Reader<'r, T> = &'r dyn Fn(&str, &OsStr) -> Result<T, Error>;

/// The options that were given, and the variables that stand for options. `matches` is `None` if
/// clap had nothing to parse.
struct Input<'a> {
    matches: Option<&'a ArgMatches>,
    variables: Variables<'a>,
}

impl Input<'_> {
    fn flag(&self, option: &str) -> bool {
        self.matches.is_some_and(|matches| matches.get_flag(option))
    }

    fn value(&self, option: &str) -> Option<&OsString> {
        self.matches?.get_one(option)
    }

    fn values(&self, option: &str) -> impl Iterator<Item = &OsString> {
        self.matches.and_then(|matches| matches.get_many(option)).into_iter().flatten()
    }

    /// A variable. An empty one counts as unset, since a Kubernetes manifest may leave it blank.
    fn variable(&self, name: &str) -> Option<&'static OsStr> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    fn boolean_variable(&self, setting: Setting) -> Result<bool, Error> {
        self.variable(setting.variable).map_or(Ok(false), |value| values::boolean(setting.variable, value))
    }

    fn boolean(&self, setting: Setting) -> Result<bool, Error> {
        Ok(self.boolean_variable(setting)? || self.flag(setting.option))
    }

    /// The value of an option, or of its variable if the option is not given.
    fn single<T>(&self, setting: Setting, read: Reader<'_, T>) -> Result<Option<T>, Error> {
        let variable = self.variable(setting.variable).map(|value| read(setting.variable, value)).transpose()?;
        let option =
            self.value(setting.option).map(|value| read(&format!("--{}", setting.option), value)).transpose()?;
        Ok(option.or(variable))
    }

    /// Calls `each` with the values of a list option, or of its variable if the option is not
    /// given.
    fn list<T>(&self, setting: Setting, read: Reader<'_, T>, mut each: impl FnMut(T)) -> Result<(), Error> {
        let is_given = self.values(setting.option).next().is_some();
        if let Some(list) = self.variable(setting.variable) {
            for value in items(list) {
                let value = read(setting.variable, value)?;
                if !is_given {
                    each(value);
                }
            }
        }
        for value in self.values(setting.option).flat_map(|list| items(list)) {
            each(read(&format!("--{}", setting.option), value)?);
        }
        Ok(())
    }

    /// What the original's variables ask for, as far as `part` takes it.
    fn foreign<T>(&self, persona: &'static Persona, part: fn(Meaning) -> Option<T>) -> Option<T> {
        let meaning = |variable: &Variable| (variable.meaning)(&(self.variables)(variable.name)?.to_string_lossy());
        persona.variables.iter().filter_map(meaning).find_map(part)
    }
}

fn items(list: &OsStr) -> impl Iterator<Item = &OsStr> {
    list.as_bytes().split(|byte| *byte == b',').map(OsStr::from_bytes)
}

/// clap's error in one line. clap itself renders several.
fn one_line_error(error: &clap::Error) -> String {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Escaped(text.as_bytes()).to_string(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let argument = word(ContextKind::InvalidArg);
    // clap puts `...` after an option that may be repeated.
    let argument = argument.trim_end_matches("...");
    let value = word(ContextKind::InvalidValue);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            let kind = if is_ambiguous(argument) { "ambiguous" } else { "unknown" };
            let similar = similar_option(argument).map_or(String::new(), |name| format!("; did you mean --{name}?"));
            format!("{kind} option '{argument}'{similar}; write the command's own options after the command")
        }
        ErrorKind::TooManyValues => format!("option '{argument}' takes no value, but '{value}' was given"),
        ErrorKind::InvalidValue if value.is_empty() => format!("option '{argument}' needs a value"),
        ErrorKind::InvalidValue => format!("option '{argument}' does not accept '{value}'"),
        _ => format!("option '{argument}' is wrong: {}", error.kind()),
    };
    format!("{what}; see 'rinit --help'")
}

/// Whether a long option is an abbreviation of several.
fn is_ambiguous(argument: &str) -> bool {
    let is_long = |name: &str| argument.strip_prefix("--").is_some_and(|begin| name.starts_with(begin));
    names::command().get_arguments().filter_map(|argument| argument.get_long()).filter(|name| is_long(name)).count() > 1
}

/// The long option that was probably meant.
fn similar_option(argument: &str) -> Option<String> {
    let wrong = argument.strip_prefix("--")?;
    let command = names::command();
    let (name, slips) = nearest(wrong, command.get_arguments().filter_map(|argument| argument.get_long()))?;
    // If more than a third of the letters differ, it is another word.
    let is_abbreviation = !wrong.is_empty() && name.starts_with(wrong);
    (is_abbreviation || slips * 3 <= name.len()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::arguments::tests::arguments;

    fn parse_words(words: &[&'static str]) -> Result<Action, Error> {
        parse_with(words, &[])
    }

    fn parse_with(words: &[&'static str], variables: &[(&str, &'static str)]) -> Result<Action, Error> {
        parse_as("rinit", words, variables)
    }

    fn parse_as(name: &str, words: &[&'static str], variables: &[(&str, &'static str)]) -> Result<Action, Error> {
        parse(Persona::of(name.as_bytes()), arguments(words), &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsStr::new(*value))
        })
    }

    fn config_of(words: &[&'static str], variables: &[(&str, &'static str)]) -> Config {
        config_as("rinit", words, variables)
    }

    fn config_as(name: &str, words: &[&'static str], variables: &[(&str, &'static str)]) -> Config {
        match parse_as(name, words, variables).unwrap() {
            Action::Run(config, _) => config,
            other => panic!("{other:?}"),
        }
    }

    fn command_of(words: &[&'static str]) -> Vec<&'static str> {
        command_as("rinit", words)
    }

    fn command_as(name: &str, words: &[&'static str]) -> Vec<&'static str> {
        match parse_as(name, words, &[]).unwrap() {
            Action::Run(_, Some(command)) => command.iter().map(|word| word.to_str().unwrap()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_separator_goes_under_the_name_of_an_init_that_drops_it() {
        for (words, expected) in [
            (&["sh", "--", "-c", "x"][..], &["sh", "-c", "x"][..]),
            (&["-s", "sh", "--", "-c", "x"], &["sh", "-c", "x"]),
            (&["sh", "a", "-", "--", "x", "--", "y"], &["sh", "a", "-", "x", "--", "y"]),
            (&["--", "sh", "--", "x"], &["sh", "--", "x"]),
            (&["-s", "--", "sh", "--", "x"], &["sh", "--", "x"]),
            (&["sh", "-c", "--", "x"], &["sh", "-c", "--", "x"]),
        ] {
            assert_eq!(command_as("tini", words), expected, "{words:?}");
            assert_eq!(command_as("podman-init", words), expected, "{words:?}");
        }
        for name in ["rinit", "dumb-init"] {
            assert_eq!(command_as(name, &["sh", "--", "x"]), ["sh", "--", "x"]);
        }
    }

    #[test]
    fn the_name_its_variables_and_options_decide_the_target() {
        let target = |name, words: &[&'static str], variables: &[(&str, &'static str)]| {
            config_as(name, &[words, &["x"]].concat(), variables).target
        };
        for name in ["tini", "docker-init", "podman-init", "catatonit"] {
            assert_eq!(target(name, &[], &[]), Target::MainChild, "{name}");
            assert_eq!(target(name, &["-g"], &[]), Target::Group, "{name}");
            assert_eq!(target(name, &["-a"], &[]), Target::Everyone, "{name}");
            assert_eq!(target(name, &[], &[("RINIT_KILL_PROCESS_GROUP", "1")]), Target::Group, "{name}");
        }
        assert_eq!(target("tini", &[], &[("TINI_KILL_PROCESS_GROUP", "")]), Target::Group);
        assert_eq!(target("tini", &["-c"], &[("TINI_KILL_PROCESS_GROUP", "1")]), Target::MainChild);
        assert_eq!(target("catatonit", &[], &[("TINI_KILL_PROCESS_GROUP", "1")]), Target::MainChild);
        assert_eq!(target("rinit", &["-g"], &[("TINI_KILL_PROCESS_GROUP", "1")]), Target::Group);
        assert_eq!(target("rinit", &["-g", "-c"], &[]), Target::MainChild);
        assert_eq!(target("rinit", &["-g"], &[("RINIT_SINGLE_CHILD", "1")]), Target::Group);
        assert_eq!(target("rinit", &["-g"], &[("RINIT_ALL", "1")]), Target::Group);
        let both = [("RINIT_SINGLE_CHILD", "1"), ("RINIT_ALL", "1")];
        assert!(parse_with(&["x"], &both).is_err());
        for (option, expected) in [("-c", Target::MainChild), ("-a", Target::Everyone), ("-g", Target::Group)] {
            assert_eq!(target("rinit", &[option], &both), expected, "{option}");
        }
        assert_eq!(target("rinit", &[], &[("RINIT_ALL", "1"), ("RINIT_KILL_PROCESS_GROUP", "1")]), Target::Everyone);
        assert_eq!(target("dumb-init", &[], &[("DUMB_INIT_SETSID", "1")]), Target::Group);
        assert_eq!(target("dumb-init", &[], &[("DUMB_INIT_SETSID", "0")]), Target::MainChild);
        assert_eq!(target("rinit", &[], &[("DUMB_INIT_SETSID", "0")]), Target::Group);
    }

    #[test]
    fn the_spelling_of_help_decides_how_long_it_is() {
        for (words, text) in [
            (&["-h"][..], SHORT_HELP),
            (&["-vh"], SHORT_HELP),
            (&["-h", "x", "--help"], SHORT_HELP),
            (&["--help"], LONG_HELP),
            (&["--he", "x", "-h"], LONG_HELP),
        ] {
            let action = parse_words(words).unwrap();
            assert!(matches!(action, Action::OneShot(OneShot::Print(printed)) if printed == text), "{words:?}");
        }
    }

    #[test]
    fn dumb_inits_group_is_stopped_by_sigstop() {
        let rewritten = |words: &[&'static str], variables: &[(&str, &'static str)]| {
            config_as("dumb-init", &[words, &["x"]].concat(), variables).rewrites.apply(Signal::TSTP)
        };
        assert_eq!(rewritten(&[], &[]), Some(Signal::STOP));
        assert_eq!(rewritten(&["-r", "20:15"], &[]), Some(Signal::TERM));
        assert_eq!(rewritten(&["-c"], &[]), Some(Signal::TSTP));
        assert_eq!(rewritten(&[], &[("DUMB_INIT_SETSID", "0")]), Some(Signal::TSTP));
        for rule in ["9:3", "17:10", "19:1"] {
            assert!(parse_as("dumb-init", &["-r", rule, "x"], &[]).is_ok());
            assert!(parse_words(&["-r", rule, "x"]).is_err());
        }
    }

    #[test]
    fn the_originals_variables_set_the_level() {
        let level = |name, words: &[&'static str], variables: &[(&str, &'static str)]| {
            config_as(name, &[words, &["x"]].concat(), variables).verbosity
        };
        assert_eq!(level("tini", &["-vvv"], &[("TINI_VERBOSITY", "2")]), Verbosity::Level(LevelFilter::Info));
        assert_eq!(level("tini", &[], &[("TINI_VERBOSITY", "2"), ("RINIT_LOG", "off")]), Verbosity::Filter("off"));
        assert_eq!(level("dumb-init", &[], &[("DUMB_INIT_DEBUG", "1")]), Verbosity::Level(LevelFilter::Debug));
        assert_eq!(level("dumb-init", &[], &[("DUMB_INIT_DEBUG", "true")]), Verbosity::Level(LevelFilter::Warn));
        assert_eq!(level("rinit", &[], &[("TINI_VERBOSITY", "2")]), Verbosity::Level(LevelFilter::Warn));
    }

    #[test]
    fn a_long_option_may_be_abbreviated() {
        let config = config_of(&["--sing", "--rew=TERM:INT", "--wait", "--kill-a", "2", "x"], &[]);
        assert_eq!((config.target, config.wait_all), (Target::MainChild, true));
        assert_eq!(config.kill_after, Some(Duration::from_secs(2)));
        for (name, words) in [("dumb-init", ["--s", "x"]), ("dumb-init", ["--r=15:2", "x"]), ("catatonit", ["--v", ""])]
        {
            assert!(parse_as(name, &words, &[]).is_ok(), "{name} {words:?}");
        }
        assert!(parse_words(&["--v", "x"]).is_err() && parse_words(&["--re=1:2", "x"]).is_err());
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_nearest_known_name() {
        for (wrong, meant) in
            [("--garce", "--grace"), ("--singlechild", "--single-child"), ("--zombie-list", "--zombies")]
        {
            let error = parse_words(&[wrong, "x"]).unwrap_err().to_string();
            assert_eq!(error.contains(&format!("did you mean {meant}?")), wrong != "--zombie-list", "{error}");
        }
    }

    #[test]
    fn an_ambiguous_abbreviation_is_called_that() {
        for (wrong, kind) in [("--ki", "ambiguous"), ("--re=1:2", "ambiguous"), ("--kix", "unknown"), ("-x", "unknown")]
        {
            let error = parse_words(&[wrong, "x"]).unwrap_err().to_string();
            assert!(error.starts_with(kind), "{error}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        names::command().debug_assert();
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
        let names = names::SETTINGS.map(|setting| setting.variable);
        let config = config_of(&["x"], &names.map(|name| (name, "")));
        assert_eq!((config.target, config.verbosity), (Target::Group, Verbosity::Level(LevelFilter::Warn)));
        assert_eq!((config.rewrites, config.remapped), (Rewrites::default(), ExitCodes::default()));
        assert_eq!((config.grace, config.kill_after, config.parent_death_signal), (Duration::ZERO, None, None));
        assert!(!config.wait_all && !config.warn_on_reap);
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
            ("RINIT_LOG", "rinit =debug"),
            ("RINIT_LOG", "debug/one"),
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
