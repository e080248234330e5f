//! The definition of the command line. The help, the man page and the shell completions are
//! generated from it.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command};

/// An option and its environment variable.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) option: &'static str,
    pub(super) variable: &'static str,
}

pub(super) const SINGLE_CHILD: Setting = Setting { option: "single-child", variable: "RINIT_SINGLE_CHILD" };
pub(super) const ALL: Setting = Setting { option: "all", variable: "RINIT_ALL" };
pub(super) const GROUP: Setting = Setting { option: "kill-process-group", variable: "RINIT_KILL_PROCESS_GROUP" };
pub(super) const REWRITE: Setting = Setting { option: "rewrite", variable: "RINIT_REWRITE" };
pub(super) const PARENT_DEATH_SIGNAL: Setting =
    Setting { option: "parent-death-signal", variable: "RINIT_PARENT_DEATH_SIGNAL" };
pub(super) const REMAP_EXIT: Setting = Setting { option: "remap-exit", variable: "RINIT_REMAP_EXIT" };
pub(super) const GRACE: Setting = Setting { option: "grace", variable: "RINIT_GRACE" };
pub(super) const WAIT_ALL: Setting = Setting { option: "wait-all", variable: "RINIT_WAIT_ALL" };
pub(super) const KILL_AFTER: Setting = Setting { option: "kill-after", variable: "RINIT_KILL_AFTER" };
pub(super) const WARN_ON_REAP: Setting = Setting { option: "warn-on-reap", variable: "RINIT_WARN_ON_REAP" };
pub(super) const VERBOSE: Setting = Setting { option: "verbose", variable: "RINIT_LOG" };

/// Every option that has a variable.
pub(super) const SETTINGS: [Setting; 11] = [
    SINGLE_CHILD,
    ALL,
    GROUP,
    REWRITE,
    PARENT_DEATH_SIGNAL,
    REMAP_EXIT,
    GRACE,
    WAIT_ALL,
    KILL_AFTER,
    WARN_ON_REAP,
    VERBOSE,
];

pub(super) const PAUSE: &str = "pause";
pub(super) const INSTALL: &str = "install";
pub(super) const ZOMBIES: &str = "zombies";
pub(super) const HELP: &str = "help";
pub(super) const VERSION: &str = "version";
pub(super) const LICENSE: &str = "license";
pub(super) const COMMAND: &str = "command";

/// What `--version` says after the name. dockerd reads the commit: moby, parseInitVersion.
pub(super) const VERSION_TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), " - git.", env!("RINIT_COMMIT"));

/// The command line, as clap's definition.
pub fn command() -> Command {
    let arguments = [
        Heading("Signals").of(vec![
            flag(SINGLE_CHILD.option)
                .short('c')
                .help("Forward signals to the main child alone, not to its process group"),
            flag(ALL.option).short('a').help("Forward signals to every process, daemons included"),
            value(REWRITE.option, "FROM:TO").action(ArgAction::Append).short('r').help(
                "Forward signal TO in place of FROM; TO 0 or none drops the signal; repeatable, or a comma-separated list",
            ),
            value(PARENT_DEATH_SIGNAL.option, "SIGNAL")
                .short('p')
                .help("If rinit's parent dies, receive SIGNAL and forward it"),
        ]),
        Heading("Exit").of(vec![
            value(REMAP_EXIT.option, "CODE").action(ArgAction::Append).short('e').help(
                "Exit with 0 if the command's code is CODE, such as 143 for a JVM; repeatable, or a comma-separated list",
            ),
            value(GRACE.option, "DURATION").help(
                "When the command has ended, send SIGTERM to every process left, and kill those that have not ended \
                 after this time; without it, exit at once",
            ),
            flag(WAIT_ALL.option)
                .help("When the command has ended, wait until every process left has ended by itself"),
            value(KILL_AFTER.option, "DURATION").help(
                "Kill the command if it has not ended this long after a SIGTERM, SIGINT or SIGQUIT; without it, or \
                 with 0, never",
            ),
        ]),
        Heading("Messages").of(vec![
            flag(WARN_ON_REAP.option).short('w').help("Log a warning for each orphan reaped: pid, name, how it ended"),
            Arg::new(VERBOSE.option).long(VERBOSE.option).short('v').action(ArgAction::Count).help(
                "Log more on stderr: -v info, -vv debug, -vvv trace; the variable takes a filter such as debug or \
                 rinit::init::reap=trace",
            ),
        ]),
        Heading("Instead of a command").of(vec![
            flag(PAUSE).short('P').help("Run no command: reap orphans until SIGTERM or SIGINT, then exit with 0"),
            value(INSTALL, "PATH").help("Copy this binary to PATH, a file or a directory, and exit"),
            flag(ZOMBIES).help("List the zombies and the parents that do not wait for them; exit with 1 if there are any"),
        ]),
        Heading("About").of(vec![
            flag(HELP).short('h').help("Print this help"),
            flag(VERSION).short('V').help("Print the version"),
            flag(LICENSE).short('l').short_alias('L').help("Print the license"),
        ]),
        Heading("For users of tini and catatonit").of(vec![
            flag("subreaper")
                .short('s')
                .hide_short_help(true)
                .help("No effect: rinit is always a subreaper if it is not PID 1"),
            flag(GROUP.option).short('g').hide_short_help(true).help(
                "Under the name of tini, tini-static, docker-init, catatonit or podman-init: forward signals to the \
                 process group; under other names that is the default",
            ),
        ]),
    ];
    Command::new("rinit")
        .version(VERSION_TEXT)
        .about("An init for containers: forwards signals, reaps orphans, exits with the command's code.")
        .override_usage("rinit [OPTIONS] [--] COMMAND [ARGS]...\n       rinit --pause | --install PATH | --zombies")
        .after_help(include_str!("help/footer.txt").trim_end())
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .args(arguments.into_iter().flatten())
        .arg(Arg::new(COMMAND).num_args(0..).trailing_var_arg(true).hide(true).value_parser(OsStringValueParser::new()))
}

/// A heading in the help.
struct Heading(&'static str);

impl Heading {
    /// The options under it. The help of an option that has a variable names the variable.
    fn of(self, arguments: Vec<Arg>) -> impl Iterator<Item = Arg> {
        arguments.into_iter().map(move |argument| {
            let variable = SETTINGS.iter().find(|setting| argument.get_id() == setting.option);
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let argument = argument.help_heading(self.0);
            let Some(setting) = variable else { return argument };
            argument.help(format!("{help} [env: {}]", setting.variable))
        })
    }
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn value(name: &'static str, placeholder: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .value_parser(OsStringValueParser::new())
        // `-e -1` is a wrong value of -e, not an unknown option.
        .allow_hyphen_values(true)
}
