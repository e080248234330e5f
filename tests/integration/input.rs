//! Bad input: whatever the bytes, rinit runs exactly the command it was given, or it refuses before anything was
//! started. What is to be expected comes from the contract's rules as `oracle` has them.
//!
//! `PROPTEST_CASES=100000 cargo test --test integration input` looks for longer.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use crate::harness::{Role, TempDir, probe, rinit, run};
use crate::oracle::VARIABLES;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

tests! {
    requires [];
    any_words_of_the_command_reach_it_as_they_are,
    any_bytes_give_a_run_of_just_the_command_or_a_refusal,
    values_mean_what_the_contract_says,
    a_process_cannot_forge_what_zombies_shows requires [Namespaces],
}

type Bytes = Vec<u8>;

/// A property, over this many cases where nothing else is asked for.
fn for_all<T: std::fmt::Debug>(cases: u32, any: impl Strategy<Value = T>, property: impl Fn(T)) {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&any, |case| {
        property(case);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Any bytes that can stand in an argument or a variable.
fn any_word() -> impl Strategy<Value = Bytes> {
    vec(1..=255_u8, 0..12)
}

/// Pieces of values, as one line.
const PIECES: &str = "TERM sigusr1 SIG KILL CHLD RTMIN RTMAX 15 0 1 34 64 65 255 256 00 9223372036854775807 99999999999 : : \
                      , , + - . = / s m h d none true no ON Off debug rinit rinit::x é \n";

/// What looks like a value: pieces of right ones in any order, or any bytes.
fn any_value() -> impl Strategy<Value = Bytes> {
    let pieces: Vec<&str> = PIECES.split(' ').collect();
    let mixed = vec(select(pieces), 0..6).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![4 => mixed, 1 => any_word()]
}

/// A value that is right for an option.
fn right_value(option: &str) -> impl Strategy<Value = Bytes> + use<> {
    let right: &[&str] = match option {
        "rewrite" => &["TERM:INT", "15:0", "sigrtmin+30:RTMAX-2", "1:2,HUP:none", "WINCH:kill"],
        "remap-exit" => &["0", "143", "1,2,255", "007"],
        "parent-death-signal" => &["TERM", "sigkill", "64", "rtmax-30"],
        "grace" => &["0", "10", ".5s", "1.5m", "2h", "9223372036854775807", "106751991167300d"],
        "verbose" => &["off", "warn", "rinit=info", "rinit::reap=trace,error", "rinit::init"],
        _ => &["1", "true", "YES", "on", "0", "False", "no", "oFF", ""],
    };
    select(right).prop_map(|text| text.as_bytes().to_vec())
}

/// Words before the command: an option as it should be, one with an odd value, or anything.
fn any_option() -> impl Strategy<Value = Vec<Bytes>> {
    let flags =
        select(&["-c", "-a", "-w", "-v", "-s", "-g", "-vwg", "--single-child", "--verbose", "--warn-on-reap"][..]);
    let odd =
        select(&["-P", "--pause", "--zombies", "--install=x", "-h", "--version", "-l", "--help=1", "--frob", "-x"][..]);
    let with_value =
        select(&[("rewrite", "-r"), ("remap-exit", "-e"), ("parent-death-signal", "-p"), ("grace", "--grace")][..])
            .prop_flat_map(|(long, short)| {
                (Just((long, short)), prop_oneof![3 => right_value(long), 1 => any_value()], 0..4)
            })
            .prop_map(|((long, short), value, way)| match way {
                0 => vec![short.into(), value],
                1 => vec![format!("--{long}").into(), value],
                2 if short.len() == 2 => vec![[short.as_bytes(), &value].concat()],
                _ => vec![[format!("--{long}=").as_bytes(), &value].concat()],
            });
    let dashed = any_word().prop_map(|word| vec![[b"-", &word[..]].concat()]);
    prop_oneof![
        12 => flags.prop_map(|flag| vec![flag.into()]),
        24 => with_value,
        1 => odd.prop_map(|option| vec![option.into()]),
        1 => dashed,
        1 => any_word().prop_map(|word| vec![word]),
    ]
}

fn any_variable() -> impl Strategy<Value = (&'static str, Bytes)> {
    let known = select(&VARIABLES[..])
        .prop_flat_map(|(option, name)| (Just(name), prop_oneof![4 => right_value(option), 1 => any_value()]));
    // One that rinit does not know is none of its business.
    prop_oneof![9 => known, 1 => (Just("RINIT_"), any_word())]
}

/// What a command line should come to.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// A run of the command that begins with this word.
    Run(usize),
    /// Help, version or license, and no run.
    Text,
    Refusal,
}

/// Reads the command line as the contract has it; there is a command in it.
fn expected(words: &[Bytes], variables: &[(&str, Bytes)]) -> Expected {
    let flags = [
        ("single-child", "c"),
        ("all", "a"),
        ("warn-on-reap", "w"),
        ("verbose", "v"),
        ("subreaper", "s"),
        ("pause", "P"),
        ("kill-process-group", "g"),
        ("help", "h"),
        ("version", "V"),
        ("license", "lL"),
        ("zombies", ""),
    ];
    let valued = [("rewrite", "r"), ("remap-exit", "e"), ("parent-death-signal", "p"), ("grace", ""), ("install", "")];
    let mut given: Vec<(&str, Option<&[u8]>)> = Vec::new();
    let mut at = 0;
    while let [b'-', rest @ ..] = &words[at][..]
        && !rest.is_empty()
    {
        at += 1;
        let mut rest = rest;
        if rest == b"-" {
            break;
        }
        if let Some(long) = rest.strip_prefix(b"-") {
            let name = long.split(|byte| *byte == b'=').next().unwrap();
            let inline = long.get(name.len() + 1..);
            if let Some((flag, _)) = flags.iter().find(|(flag, _)| flag.as_bytes() == name && inline.is_none()) {
                given.push((flag, None));
            } else if let Some((option, _)) = valued.iter().find(|(option, _)| option.as_bytes() == name) {
                given.push((option, Some(inline.unwrap_or(&words[at]))));
                at += usize::from(inline.is_none());
            } else {
                return Expected::Refusal;
            }
            continue;
        }
        while let [letter, after @ ..] = rest {
            let is_it = |(_, letters): &&(&'static str, &str)| letters.as_bytes().contains(letter);
            rest = after;
            if let Some((flag, _)) = flags.iter().find(is_it) {
                given.push((flag, None));
            } else if let Some((option, _)) = valued.iter().find(is_it) {
                let attached = after.strip_prefix(b"=").unwrap_or(after);
                given.push((option, Some(if after.is_empty() { &words[at] } else { attached })));
                at += usize::from(after.is_empty());
                break;
            } else {
                return Expected::Refusal;
            }
        }
    }
    let is_given = |name: &str| given.iter().any(|(option, _)| *option == name);
    if ["help", "version", "license"].into_iter().any(is_given) {
        return Expected::Text;
    }
    // The last one of a name is what the process gets; an empty one is unset.
    let set = |name: &str| variables.iter().rfind(|(known, _)| *known == name).filter(|(_, value)| !value.is_empty());
    let is_on = |name: &str| {
        set(name).is_some_and(|(_, value)| !b"0nNfF".contains(&value[0]) && !value.eq_ignore_ascii_case(b"off"))
    };
    let is_right = VARIABLES
        .iter()
        .all(|(option, name)| set(name).is_none_or(|(_, value)| crate::oracle::is_accepted(option, value)));
    // Of an option with one value the last counts.
    let last = |name: &str| given.iter().rposition(|(option, _)| *option == name);
    let counts =
        |position: usize, name: &str| ["rewrite", "remap-exit"].contains(&name) || last(name) == Some(position);
    let is_well_given = given.iter().enumerate().all(|(position, (name, value))| {
        value.is_none_or(|value| !counts(position, name) || crate::oracle::is_accepted(name, value))
    });
    let instead = ["pause", "zombies", "install"].into_iter().any(is_given);
    let (single, all) = (is_given("single-child"), is_given("all"));
    let is_open = !single && !all && !is_given("kill-process-group");
    let both = single && all || is_open && is_on("RINIT_SINGLE_CHILD") && is_on("RINIT_ALL");
    if instead || both || !is_right || !is_well_given { Expected::Refusal } else { Expected::Run(at) }
}

/// Runs rinit with nothing in its environment but these, in an empty directory that is also all of PATH.
fn run_with(words: &[Bytes], variables: &[(&str, Bytes)], temp: &TempDir) -> Output {
    let mut command = Command::new(rinit());
    command.args(words.iter().map(|word| OsStr::from_bytes(word)));
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, OsStr::from_bytes(value))));
    // A background process group: the terminal that a person runs this in is left alone.
    command.env("PATH", temp.path()).current_dir(temp.path()).process_group(0).stdin(Stdio::null());
    command.output().unwrap()
}

/// What the probe's duty `arguments` writes for its command line.
fn as_recorded(words: &[Bytes]) -> String {
    let hex = |word: &Bytes| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    words.iter().map(hex).collect()
}

/// The probe, to record its arguments, and these words.
fn recording(words: Vec<Bytes>) -> Vec<Bytes> {
    [probe().into_bytes(), b"arguments".to_vec()].into_iter().chain(words).collect()
}

fn any_words_of_the_command_reach_it_as_they_are() {
    let temp = TempDir::new();
    let dashes = prop_oneof![Just(None), Just(Some(b"--".to_vec()))];
    let word = prop_oneof![any_word(), any_option().prop_map(|words| words.concat()), vec(1..=255_u8, 5_000..50_000)];
    for_all(200, (dashes, vec(word, 0..6)), |(dashes, words)| {
        let command = recording(words);
        let line: Vec<Bytes> = dashes.into_iter().chain(command.iter().cloned()).collect();
        let output = run_with(&line, &[], &temp);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), as_recorded(&command));
        assert!(output.stderr.is_empty());
    });
}

fn any_bytes_give_a_run_of_just_the_command_or_a_refusal() {
    let temp = TempDir::new();
    let dashes = prop_oneof![Just(None), Just(Some(b"--".to_vec()))];
    let line = (vec(any_option(), 0..4), dashes, vec(any_word(), 0..3), vec(any_variable(), 0..3));
    let counts = [0, 0, 0].map(Cell::new);
    for_all(600, line, |(options, dashes, words, variables)| {
        let line: Vec<Bytes> = options.concat().into_iter().chain(dashes).chain(recording(words)).collect();
        let output = run_with(&line, &variables, &temp);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let expected = expected(&line, &variables);
        let seen = format!("{expected:?}, but got {}, stdout {stdout:?}, stderr {stderr:?}", output.status);
        // Whatever came out of it: rinit's own lines, and nothing in them that is not to be shown.
        assert!(stderr.lines().all(|line| line.starts_with("rinit[")), "{seen}");
        assert!(!stderr.contains(|letter: char| letter.is_control() && letter != '\n'), "{seen}");
        match expected {
            Expected::Run(at) if line[at] == probe().as_bytes() => {
                assert_eq!((output.status.code(), &*stdout), (Some(0), &*as_recorded(&line[at..])), "{seen}");
                counts[0].set(counts[0].get() + 1);
            }
            // Another word came to stand where the command does: there is no such command here.
            Expected::Run(_) => {
                assert!(matches!(output.status.code(), Some(126 | 127)) && stdout.is_empty(), "{seen}");
                assert!(stderr.is_empty() || stderr.contains("cannot run '"), "{seen}");
            }
            Expected::Text => {
                assert!(output.status.code() == Some(0) && !stdout.is_empty() && stderr.is_empty(), "{seen}");
                counts[1].set(counts[1].get() + 1);
            }
            Expected::Refusal => {
                assert!(
                    output.status.code() == Some(125) && stdout.is_empty() && stderr.lines().count() == 1,
                    "{seen}"
                );
                counts[2].set(counts[2].get() + 1);
            }
        }
    });
    println!("{counts:?} runs, texts, refusals");
    assert!(counts[0].get() > 50 && counts[2].get() > 50, "one-sided: {counts:?}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "no run has left anything");
}

fn values_mean_what_the_contract_says() {
    let value = select(&VARIABLES[..])
        .prop_flat_map(|(option, name)| (Just((option, name)), prop_oneof![right_value(option), any_value()]));
    for_all(20_000, value, |((option, name), value)| crate::oracle::check(option, name, &value));
}

fn a_process_cannot_forge_what_zombies_shows() {
    // A name as the process sets it, 15 bytes at most, and how it is shown.
    let names: &[(&[u8], &str)] = &[
        (b"a) Z 1 (b)", "a) Z 1 (b)"),
        (b") R 0 0 0 0 (", ") R 0 0 0 0 ("),
        (b"(((((((((((((((", "((((((((((((((("),
        (b"x\nno zombies\n", "x\\nno zombies\\n"),
        (b"\n) Z 1 1 1\n", "\\n) Z 1 1 1\\n"),
        (b"\x1b[2J\x1b[31mred", "\\u{1b}[2J\\u{1b}[31mred"),
        (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
        (b"\r\t\x08\x7f", "\\r\\t\\u{8}\\u{7f}"),
        (b"\xff\xfe\xc3(\x9b", "\\xff\\xfe\\xc3(\\x9b"),
        ("\u{202e}gnp".as_bytes(), "\\u{202e}gnp"),
        ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        (b" ", " "),
        (b"", ""),
    ];
    let temp = TempDir::new();
    // Each is the name of a parent that does not wait, and of its zombie.
    let script = format!(
        r#"for name; do
               file={0}/$((number += 1))
               {1} hoard-named "$name" $file &
               until [ -e $file ]; do sleep 0.01; done
           done
           '{2}' --zombies"#,
        temp.path().display(),
        probe(),
        rinit().to_str().unwrap()
    );
    let mut words: Vec<&OsStr> = ["--", "sh", "-c", &script, "sh"].map(OsStr::new).to_vec();
    words.extend(names.iter().map(|(name, _)| OsStr::from_bytes(name)));
    let outcome = run(Role::Pid1, &words);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let [head, rows @ .., last] = &lines[..] else { panic!("{lines:?}") };
    assert!(head.trim_start().starts_with("PID"), "{head}");
    let count = names.len();
    assert_eq!(*last, format!("{count} zombies of {count} processes that do not wait for their children"));
    assert_eq!(rows.len(), count, "one row each: {}", outcome.stdout);
    for (_, shown) in names {
        // After PID, ZOMBIES and OLDEST come the parent's name and the zombie's.
        let names = format!("{shown:<15}  {shown}");
        let its_own = rows.iter().filter(|row| row.split_at(28).1 == names);
        assert_eq!(its_own.count(), 1, "{shown:?} in {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains(|letter: char| letter.is_control() && letter != '\n'), "{:?}", outcome.stdout);
}
