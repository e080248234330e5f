//! The man page and the shell completions are made of the definition that `--help` is made of. After a change to it, run
//! this with `RINIT_UPDATE=1` to write them anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueHint;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

tests! {
    requires [];
    the_man_page_and_the_completions_are_those_of_the_definition,
    the_man_page_is_read_without_an_error_and_names_every_option requires [Program("mandoc")],
    each_shell_completes_an_option requires [Program("fish"), Program("zsh")],
    every_link_leads_to_a_file,
    the_readme_names_every_option_and_variable,
    the_readmes_two_commands_are_what_they_say,
}

/// What clap knows nothing of: the sections after the options.
const MAN_PAGE_END: &str = r#".SH ENVIRONMENT
An option that names a variable can also be set by that variable, for example under \-\-init of a container runtime,
where rinit cannot be given options.
An empty variable counts as unset. A wrong value is refused even if the command line wins over the variable.
.SH "OTHER NAMES"
Started by the name of tini, tini\-static, docker\-init, catatonit, podman\-init or dumb\-init, rinit behaves as that
init does: which processes get signals, the exit codes of failures, whether the first \-\- after the command is dropped,
the session, and which of that init's variables are read.
.SH VALUES
SIGNAL is TERM, SIGTERM, 15, RTMIN+n or RTMAX\-n, in any case. DURATION is 10, 0.5, 10s, 2m, 1h or 1d.
A variable that switches an option on or off is 1, true, yes, on or 0, false, no, off.
.SH EXIT STATUS
.TP
.I n
The command exited with n.
.TP
.RI 128+ n
Signal n killed the command.
.TP
127
The command was not found.
.TP
126
It was found and cannot be run.
.TP
125
rinit itself failed: wrong usage, fork refused.
.SH EXAMPLES
The last lines of a Dockerfile:
.PP
.nf
    ENTRYPOINT ["/rinit", "\-\-"]
    CMD ["/app/server", "\-\-port", "8080"]
.fi
.PP
Names the processes that do not wait for their children:
.PP
.nf
    docker exec CONTAINER /rinit \-\-zombies
.fi
.SH SEE ALSO
.BR signal (7),
.BR pid_namespaces (7),
.BR PR_SET_CHILD_SUBREAPER (2const)
"#;

fn definition() -> clap::Command {
    // Hidden in the help, whose usage line has it; without a hint nobody could complete a path or a command.
    rinit::cli::definition::command()
        .mut_arg("command", |command| command.hide(false).value_hint(ValueHint::CommandWithArguments))
        .mut_arg("install", |path| path.value_hint(ValueHint::AnyPath))
}

fn man_page() -> String {
    // Man leaves out what an option means if the short help hides the option.
    let man = Man::new(rinit::cli::definition::command().mut_args(|argument| argument.hide_short_help(false)));
    // Without a date: it would be the build's, and two builds would differ.
    let title = concat!(".TH RINIT 1 \"\" \"rinit ", env!("CARGO_PKG_VERSION"), "\" \"User Commands\"\n");
    let mut page = title.as_bytes().to_vec();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    String::from_utf8(page).unwrap() + MAN_PAGE_END
}

fn completion(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut definition(), "rinit", &mut script);
    String::from_utf8(script).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn the_man_page_and_the_completions_are_those_of_the_definition() {
    for (name, made) in [
        ("docs/rinit.1", man_page()),
        ("completions/rinit.bash", completion(Shell::Bash)),
        ("completions/_rinit", completion(Shell::Zsh)),
        ("completions/rinit.fish", completion(Shell::Fish)),
    ] {
        let made: String = made.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        if std::env::var_os("RINIT_UPDATE").is_some() {
            fs::write(file(name), &made).unwrap();
        }
        assert_eq!(fs::read_to_string(file(name)).unwrap(), made, "{name} is old: run this with RINIT_UPDATE=1");
    }
}

/// What a program writes to stdout; it must find nothing wrong.
fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect(program);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{program} {words:?}: {stdout}{stderr}");
    stdout
}

fn the_man_page_is_read_without_an_error_and_names_every_option() {
    output("mandoc", &["-T", "lint", "-W", "error", "docs/rinit.1"]);
    let text = output("mandoc", &["-T", "ascii", "docs/rinit.1"]);
    // Bold and underlined letters are written over each other.
    let plain: Vec<char> = text.chars().collect();
    let is_over = |at: usize| plain.get(at + 1) == Some(&'\u{8}') || plain[at] == '\u{8}';
    let plain: String = (0..plain.len()).filter(|at| !is_over(*at)).map(|at| plain[at]).collect();
    for argument in rinit::cli::definition::command().get_arguments() {
        let Some(long) = argument.get_long() else { continue };
        assert!(plain.contains(&format!("--{long}")), "{long} is missing in {plain}");
        // A page has its own line breaks and hyphens.
        let letters = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>();
        let help = letters(&argument.get_help().unwrap().to_string());
        assert!(letters(&plain).contains(&help), "what {long} means is missing in {plain}");
    }
}

fn each_shell_completes_an_option() {
    let bash = "source completions/rinit.bash; COMP_WORDS=(rinit --gr); COMP_CWORD=1; _rinit rinit --gr rinit; \
                echo ${COMPREPLY[@]}";
    assert_eq!(output("bash", &["-c", bash]).trim(), "--grace");
    let fish = "source completions/rinit.fish; complete --do-complete 'rinit --gr'";
    assert!(output("fish", &["--no-config", "-c", fish]).starts_with("--grace\t"));
    // zsh completes only at a prompt: that it reads the file, and what is in it.
    output("zsh", &["-fn", "completions/_rinit"]);
    let zsh = fs::read_to_string(file("completions/_rinit")).unwrap();
    assert!(zsh.starts_with("#compdef rinit\n") && zsh.contains("'--grace=["), "{zsh}");
}

/// The documents that a user reads.
const DOCUMENTS: [&str; 10] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/limits.md",
    "docs/migration.md",
    "examples/README.md",
    "examples/chromium/README.md",
    "examples/workers/README.md",
    "src/cli/help/long.txt",
];

fn every_link_leads_to_a_file() {
    for document in DOCUMENTS {
        let text = fs::read_to_string(file(document)).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let path = target.split('#').next().unwrap();
            let linked = file(document).parent().unwrap().join(path);
            assert!(linked.exists(), "{document} links to {target}, which is not there");
        }
    }
}

fn the_readme_names_every_option_and_variable() {
    let text = fs::read_to_string(file("README.md")).unwrap();
    let help = fs::read_to_string(file("src/cli/help/long.txt")).unwrap();
    for argument in rinit::cli::definition::command().get_arguments() {
        if let Some(short) = argument.get_short() {
            assert!(text.contains(&format!("`-{short}`")), "-{short}");
        }
    }
    // Words may be on two lines.
    let help = help.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let variables = help.split("[env: ").skip(1).map(|rest| rest.split([',', ']']).next().unwrap());
    let variables: Vec<&str> = variables.collect();
    assert_eq!(variables.len(), 11, "{variables:?}");
    for variable in variables {
        assert!(text.contains(&format!("`{variable}`")), "{variable}");
    }
}

fn the_readmes_two_commands_are_what_they_say() {
    let text = fs::read_to_string(file("README.md")).unwrap();
    assert!(text.contains(concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or later")), "README names another Rust");
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let first = commands.iter().find_map(|line| line.strip_prefix("cargo run --release -- ")).unwrap();
    let rinit = std::env::var("RINIT_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rinit").into());
    let output = Command::new("sh").args(["-c", &format!("{rinit} {first}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit code 7\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("warning: reaped orphan ") && stderr.contains("(sleep), which exited with 0"), "{stderr}");
    // The other is the tests themselves.
    assert!(commands.contains(&"ci/test"), "{commands:?}");
    let ci = fs::read_to_string(file("ci/run"));
    // The package has no .ci.
    assert!(ci.is_err() || ci.unwrap().contains("\nstep ci/test\n"));
}
