//! The command line: what runs, with which arguments, and the exit code.

use std::os::unix::fs::symlink;

use super::{CATATONIT, DUMB_INIT, Faults, TINI, TINI_AND_CATATONIT, init, original_and_rinit};
use crate::harness::{Role, TempDir, probe, run_to_end};

tests! {
    requires [Namespaces, Program("tini"), Program("tini-static"), Program("docker-init"), Program("catatonit"), Program("dumb-init")];
    each_command_line_runs_what_it_runs_under_the_original,
    each_failure_has_the_originals_exit_code,
    each_option_is_accepted_or_refused_as_by_the_original,
    no_value_of_a_variable_keeps_it_from_starting,
}

/// What came of a command line: the code, and the command's arguments where it ran.
type Outcome = (i32, Vec<String>);

/// Runs one of the two with these words. `WRITE` is a command that writes its arguments.
fn run(path: &str, variables: &str, words: &[&str]) -> Outcome {
    let probe = probe();
    let mut command = init(path, variables, "");
    for word in words {
        match *word {
            "WRITE" => command.args([&probe, "arguments"]),
            word => command.arg(word),
        };
    }
    let outcome = run_to_end(Role::Pid1, &mut command);
    // tini writes messages to stdout too.
    let lines = outcome.stdout.lines().filter(|line| !line.starts_with('['));
    let own = hex(&probe);
    let arguments = lines.skip_while(|line| *line != own).skip(2).map(text_of).collect();
    (outcome.code, arguments)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn text_of(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    String::from_utf8(digits.chunks(2).map(byte).collect()).unwrap()
}

/// A difference on purpose: the names, the words, what rinit makes of them, and the reason.
type Difference<'a> = (&'a [&'a str], &'a [&'a str], i32, &'a [&'a str], &'a str);

/// Holds rinit against the original: each name with each of these command lines.
fn compare(names: &[&str], variables: &str, lines: &[&[&str]], differences: &[Difference]) {
    let (temp, mut faults) = (TempDir::new(), Faults::default());
    for name in names {
        let [theirs, ours] = original_and_rinit(&temp, name);
        for words in lines {
            let difference = differences.iter().find(|(names, line, ..)| names.contains(name) && line == words);
            let expected = difference.map(|(_, _, code, arguments, why)| {
                ((*code, arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()), *why)
            });
            let [theirs, ours] = [&theirs, &ours].map(|path| run(path, variables, words));
            let row = format!("{variables} {name} {}", words.join(" "));
            let expected = expected.as_ref().map(|(outcome, why)| (outcome, *why));
            faults.compare(&row, &theirs, &ours, expected);
        }
    }
    faults.check();
}

const OPTIONS_STAY: &str = "what follows the command is the command's, also where it looks like an option";

fn each_command_line_runs_what_it_runs_under_the_original() {
    let lines: &[&[&str]] = &[
        &["WRITE"],
        &["--", "WRITE"],
        &["WRITE", "a", "b"],
        &["--", "WRITE", "a", "b"],
        // As tini's own usage text has it: PROGRAM -- ARGS
        &["WRITE", "--", "a"],
        &["WRITE", "--", "-g"],
        &["WRITE", "--", "a", "--", "b"],
        &["WRITE", "a", "--", "b"],
        &["WRITE", "a", "--", "b", "--", "c"],
        &["WRITE", "a", "--"],
        &["WRITE", "--", "--", "a"],
        &["WRITE", "-", "--", "a"],
        &["WRITE", "", "--", "a"],
        &["--", "WRITE", "--", "a"],
        &["--", "WRITE", "a", "--", "b"],
        &["--", "WRITE", "-g", "-c", "--version"],
        &["WRITE", ""],
        &["WRITE", "a\nb", "c d"],
        // Options of the command's, without a --.
        &["WRITE", "-g"],
        &["WRITE", "-g", "a"],
        &["WRITE", "-g", "--", "a"],
        &["sh", "-c", "exit 7"],
        &["sh", "-c", "kill -TERM $$"],
        &["sh", "-c", "kill -KILL $$"],
        &["--", "sh", "-c", "exit 7"],
        &["--", "sh", "-c", "kill -TERM $$"],
        &["--", "sh", "-c", "kill -KILL $$"],
        &["--", "sh", "-c", "kill -64 $$"],
        &["sh", "--", "-c", "exit 7"],
    ];
    let differences: &[Difference] = &[
        (TINI_AND_CATATONIT, &["WRITE", "-g"], 0, &["-g"], OPTIONS_STAY),
        (TINI_AND_CATATONIT, &["WRITE", "-g", "a"], 0, &["-g", "a"], OPTIONS_STAY),
        (TINI_AND_CATATONIT, &["WRITE", "-g", "--", "a"], 0, &["-g", "--", "a"], OPTIONS_STAY),
        (TINI_AND_CATATONIT, &["sh", "-c", "exit 7"], 7, &[], OPTIONS_STAY),
        (TINI_AND_CATATONIT, &["sh", "-c", "kill -TERM $$"], 143, &[], OPTIONS_STAY),
        (TINI_AND_CATATONIT, &["sh", "-c", "kill -KILL $$"], 137, &[], OPTIONS_STAY),
    ];
    compare(&["tini", "docker-init", "catatonit", "podman-init", "dumb-init"], "", lines, differences);
    // getopt(3) does not look for a -- there any more.
    compare(&["tini", "catatonit", "dumb-init"], "POSIXLY_CORRECT=1", &[&["WRITE", "a", "--", "b"]], &[]);
}

fn each_failure_has_the_originals_exit_code() {
    let temp = TempDir::new();
    let missing = temp.file("missing");
    let file = temp.write("file", b"exit 7", 0o644);
    let script = temp.write("script", b"exit 7", 0o755);
    let below = format!("{file}/below");
    let loops = temp.file("loop");
    symlink(&loops, &loops).unwrap();
    let interpreter = temp.write("interpreter", b"#!/no/such/interpreter\n", 0o755);
    let directory = temp.path().to_str().unwrap();
    let lines: &[&[&str]] = &[
        &[],
        &["--"],
        &["-v"],
        &["--", &missing],
        &["--", "no-such-command-anywhere"],
        &["--", ""],
        &[""],
        &["--", directory],
        &["--", &file],
        &["--", &script],
        &["--", &below],
        &["--", &loops],
        &["--", &interpreter],
    ];
    compare(&["tini", "docker-init", "catatonit", "podman-init", "dumb-init"], "", lines, &[]);
}

const HELP_IS_THERE: &str = "help, version and license are there under every usual option";
const NO_SIGN: &str = "a number with a sign is a slip";
const ALL_IS_CHECKED: &str = "a wrong option is refused, also beside a right one that ends it";
const TAKES_MORE: &str = "the options and spellings of the other inits are accepted too";

fn each_option_is_accepted_or_refused_as_by_the_original() {
    compare(
        TINI,
        "",
        &[
            &["-h"],
            &["-l"],
            &["--version"],
            &["-hZ"],
            &["-Zh"],
            &["-V"],
            &["-L"],
            &["--help"],
            &["-Z", "WRITE"],
            &["--nosuch", "WRITE"],
            &["-s", "-v", "-w", "-g", "WRITE"],
            &["-svwg", "WRITE"],
            &["-vvvvvv", "WRITE"],
            &["-e", "143", "WRITE"],
            &["-e143", "WRITE"],
            &["-e", "0", "-e", "255", "WRITE"],
            &["-e", "+7", "WRITE"],
            &["-e", "007", "WRITE"],
            &["-e", "256", "WRITE"],
            &["-e", "-1", "WRITE"],
            &["-e", "x", "WRITE"],
            &["-e", "0x1", "WRITE"],
            &["-e"],
            &["-e", "143", "--", "sh", "-c", "exit 143"],
            &["-e", "143", "--", "sh", "-c", "kill -TERM $$"],
            &["-e", "143", "--", "sh", "-c", "exit 7"],
            &["-e", "0", "--", "sh", "-c", "exit 7"],
            &["-p", "SIGCONT", "WRITE"],
            &["-pSIGCONT", "WRITE"],
            &["-p", "CONT", "WRITE"],
            &["-p", "18", "WRITE"],
            &["-p", "SIGNONE", "WRITE"],
            &["-p"],
            &["-c", "WRITE"],
        ],
        &[
            (TINI, &["-hZ"], 1, &[], ALL_IS_CHECKED),
            (TINI, &["-e", "+7", "WRITE"], 1, &[], NO_SIGN),
            (TINI, &["-V"], 0, &[], HELP_IS_THERE),
            (TINI, &["-L"], 0, &[], HELP_IS_THERE),
            (TINI, &["--help"], 0, &[], HELP_IS_THERE),
            (TINI, &["-p", "CONT", "WRITE"], 0, &[], TAKES_MORE),
            (TINI, &["-p", "18", "WRITE"], 0, &[], TAKES_MORE),
            (TINI, &["-c", "WRITE"], 0, &[], TAKES_MORE),
        ],
    );
    compare(
        CATATONIT,
        "",
        &[
            &["-h"],
            &["-L"],
            &["-V"],
            &["--version"],
            &["--vers"],
            &["--version=1"],
            &["-gV"],
            &["-g", "WRITE"],
            &["-gg", "WRITE"],
            &["-Z", "WRITE"],
            &["--nosuch", "WRITE"],
            &["--help"],
            &["-l"],
            &["-v", "WRITE"],
        ],
        &[
            (CATATONIT, &["--help"], 0, &[], HELP_IS_THERE),
            (CATATONIT, &["-l"], 0, &[], HELP_IS_THERE),
            (CATATONIT, &["-v", "WRITE"], 0, &[], TAKES_MORE),
        ],
    );
    const SLIP: &str = "a value that is partly read hides a slip";
    compare(
        &["dumb-init"],
        "",
        &[
            &["-h"],
            &["--help"],
            &["--h"],
            &["-V"],
            &["--version"],
            &["--vers"],
            &["-hZ"],
            &["-Zh"],
            &["-l"],
            &["-L"],
            &["-c", "-v", "WRITE"],
            &["-cv", "WRITE"],
            &["--single-child", "--verbose", "WRITE"],
            &["--s", "WRITE"],
            &["--sing", "WRITE"],
            &["--verb", "WRITE"],
            &["--v", "WRITE"],
            &["--ver", "WRITE"],
            &["--r", "15:3", "WRITE"],
            &["--rew=15:3", "WRITE"],
            &["--rewrite=15:3", "WRITE"],
            &["--rewrite", "15:3", "WRITE"],
            &["--single-child=x", "WRITE"],
            &["-vvv", "-c", "-c", "WRITE"],
            &["-Z", "WRITE"],
            &["--nosuch", "WRITE"],
            &["-r"],
            &["-r", "15:3", "WRITE"],
            &["-r15:3", "WRITE"],
            &["-cr", "15:3", "WRITE"],
            &["-r", "9:3", "WRITE"],
            &["-r", "19:3", "WRITE"],
            &["-r", "17:10", "WRITE"],
            &["-r", "15:9", "WRITE"],
            &["-r", "15:31", "WRITE"],
            &["-r", "32:1", "WRITE"],
            &["-r", "0:1", "WRITE"],
            &["-r", "-1:3", "WRITE"],
            &["-r", "15:-1", "WRITE"],
            &["-r", "15:65", "WRITE"],
            &["-r", "15", "WRITE"],
            &["-r", ":3", "WRITE"],
            &["-r", "15:", "WRITE"],
            &["-r", "", "WRITE"],
            &["-r", "0xf:3", "WRITE"],
            &["-r", "NONE:3", "WRITE"],
            &["-r", "+15:+3", "WRITE"],
            &["-r", "15:3x", "WRITE"],
            &["-r", "15:3:4", "WRITE"],
            &["-r", "TERM:QUIT", "WRITE"],
            &["-r", "15:34", "WRITE"],
            &["--grace", "5", "WRITE"],
        ],
        &[
            (DUMB_INIT, &["-hZ"], 1, &[], ALL_IS_CHECKED),
            (DUMB_INIT, &["-r", "+15:+3", "WRITE"], 1, &[], NO_SIGN),
            (DUMB_INIT, &["-r", "32:1", "WRITE"], 0, &[], TAKES_MORE),
            (DUMB_INIT, &["-l"], 0, &[], HELP_IS_THERE),
            (DUMB_INIT, &["-L"], 0, &[], HELP_IS_THERE),
            (DUMB_INIT, &["-r", "15:3x", "WRITE"], 1, &[], SLIP),
            (DUMB_INIT, &["-r", "15:3:4", "WRITE"], 1, &[], SLIP),
            (DUMB_INIT, &["-r", "TERM:QUIT", "WRITE"], 0, &[], TAKES_MORE),
            (DUMB_INIT, &["-r", "15:34", "WRITE"], 0, &[], TAKES_MORE),
            (DUMB_INIT, &["--grace", "5", "WRITE"], 0, &[], TAKES_MORE),
        ],
    );
}

fn no_value_of_a_variable_keeps_it_from_starting() {
    for (name, variable) in [
        ("tini", "TINI_VERBOSITY"),
        ("tini", "TINI_SUBREAPER"),
        ("docker-init", "TINI_KILL_PROCESS_GROUP"),
        ("docker-init", "TINI_VERBOSITY"),
        ("catatonit", "CATATONIT_DEBUG"),
        ("podman-init", "TINI_VERBOSITY"),
        ("dumb-init", "DUMB_INIT_DEBUG"),
        ("dumb-init", "DUMB_INIT_SETSID"),
    ] {
        for value in ["", "0", "1", "3", "-1", "99999999999", "2x", "nonsense"] {
            compare(&[name], &format!("{variable}={value}"), &[&["--", "sh", "-c", "exit 7"]], &[]);
        }
    }
    // "reserved for future use" there, and nothing to fail for.
    const RESERVED: &str = "a variable that another program reserves is none of rinit's";
    compare(
        CATATONIT,
        "CATATONIT_LOG=1",
        &[&["--", "sh", "-c", "exit 7"]],
        &[(CATATONIT, &["--", "sh", "-c", "exit 7"], 7, &[], RESERVED)],
    );
}
