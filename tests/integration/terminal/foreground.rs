//! Who has the terminal's foreground, before rinit runs, meanwhile, and afterwards.

use crate::harness::pty::{CTRL_Z, group_of};
use crate::harness::shell::Owner::{self, Command, Job};
use crate::harness::shell::{self, PLACES, SCOPES, Shell, UserShell, wait_until_stopped};
use crate::harness::{state, wait_until};

tests! {
    requires [Namespaces];
    the_foreground_under_bash,
    the_foreground_under_dash,
    the_foreground_under_zsh requires [Program("zsh")],
}

/// What a user types, and whose the foreground is.
struct Row {
    line: &'static str,
    /// Once all of it runs.
    during: Owner,
    /// After Ctrl-Z, which gives it to the shell, and `fg`.
    resumed: &'static [Owner],
}

/// Before the line, and when all of it has ended, it is the shell's, and after Ctrl-Z as well.
const IN_THE_FOREGROUND: [Row; 12] = [
    Row { line: "INIT HOLD", during: Command, resumed: &[Command] },
    Row { line: "INIT HOLD >/dev/null", during: Command, resumed: &[Command] },
    Row { line: "INIT HOLD 2>/dev/null", during: Command, resumed: &[Command] },
    Row { line: "INIT INIT HOLD", during: Command, resumed: &[Command] },
    Row { line: "SCRIPT -c 'INIT HOLD; exit 3'", during: Command, resumed: &[Command] },
    // Standard input is not the terminal.
    Row { line: "INIT HOLD </dev/null", during: Job, resumed: &[Job] },
    Row { line: "HOLD | INIT HOLD", during: Job, resumed: &[Job] },
    Row { line: "SCRIPT -c 'HOLD | INIT HOLD; exit 3'", during: Job, resumed: &[Job] },
    Row { line: "SCRIPT -c 'INIT HOLD & wait; exit 3'", during: Job, resumed: &[Job] },
    Row { line: "echo hold | xargs -n1 INIT PROBE", during: Job, resumed: &[Job] },
    // Standard output is a pipe.
    Row { line: "INIT HOLD | HOLD", during: Job, resumed: &[Job] },
    Row { line: "HOLD | INIT HOLD | HOLD", during: Job, resumed: &[Job] },
];

/// It is the shell's all the time, until `fg`. bash gives it to the group of a job that runs without a SIGCONT: rinit is
/// not told, and the command gets it when it asks.
const IN_THE_BACKGROUND: [Row; 4] = [
    Row { line: "INIT HOLD &", during: Owner::Shell, resumed: &[Job, Command] },
    Row { line: "INIT HOLD </dev/null &", during: Owner::Shell, resumed: &[Job] },
    Row { line: "HOLD | INIT HOLD &", during: Owner::Shell, resumed: &[Job] },
    Row { line: "INIT HOLD | HOLD &", during: Owner::Shell, resumed: &[Job] },
];

/// How often a line is tried.
const ATTEMPTS: usize = 3;

/// Each line of the tables, in every place and with every scope.
fn check(shell: Shell) {
    let mut wrong = Vec::new();
    for place in PLACES {
        let mut user = UserShell::start(shell, place);
        for options in SCOPES {
            user.options = options;
            let foreground = IN_THE_FOREGROUND.iter().map(|row| (row, true));
            for (row, waits) in foreground.chain(IN_THE_BACKGROUND.iter().map(|row| (row, false))) {
                let what = format!("{shell:?}, {place:?}, options {options:?}: {}", row.line);
                println!("{what}");
                let (mut seen, mut is_right) = (Vec::new(), false);
                // A shell may give the foreground to the job a second time, after rinit has given it to the command. That is
                // rare: what rinit does wrong, it does each time.
                while !is_right && seen.len() < ATTEMPTS {
                    let attempt =
                        if waits { in_the_foreground(&mut user, row) } else { in_the_background(&mut user, row) };
                    let (during, suspended, resumed) = attempt;
                    is_right = during == row.during && suspended == Owner::Shell && row.resumed.contains(&resumed);
                    seen.push(attempt);
                }
                if !is_right {
                    wrong.push(format!("{what}: {seen:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whose the foreground is while the job runs, after Ctrl-Z, and after `fg`.
fn in_the_foreground(user: &mut UserShell, row: &Row) -> (Owner, Owner, Owner) {
    assert!(user.has_foreground(), "before");
    let job = user.enter_job(row.line);
    assert_ne!(group_of(job.rinit), group_of(job.command));
    wait_until("the shell to give the foreground away", || (user.owner(job) != Owner::Shell).then_some(()));
    let during = user.owner(job);
    user.press(CTRL_Z);
    user.expect_stopped();
    // The shell waits for its own children alone, and rinit may be a script's.
    wait_until_stopped(job.rinit, true);
    let suspended = user.owner(job);
    user.line("fg");
    wait_until_resumed(user, job);
    let resumed = user.owner(job);
    finish(user);
    (during, suspended, resumed)
}

/// The same for a job that starts in the background and is not stopped: after the next line, and after `fg`.
fn in_the_background(user: &mut UserShell, row: &Row) -> (Owner, Owner, Owner) {
    assert!(user.has_foreground(), "before");
    user.enter(row.line);
    user.prompt();
    let job = user.job();
    let during = user.owner(job);
    user.run("true");
    let meanwhile = user.owner(job);
    user.line("fg");
    wait_until_resumed(user, job);
    let resumed = user.owner(job);
    finish(user);
    (during, meanwhile, resumed)
}

/// Waits until the shell has given the foreground away and the job runs: rinit hands it over before it continues the
/// command.
fn wait_until_resumed(user: &UserShell, job: shell::Job) {
    let runs = |pid| state(pid) == Some('S');
    wait_until("the job to be resumed", || (!user.has_foreground() && runs(job.command)).then_some(()));
    assert_eq!(user.job(), job);
}

fn finish(user: &mut UserShell) {
    user.end_probes();
    user.prompt();
    assert!(user.has_foreground(), "afterwards");
}

fn the_foreground_under_bash() {
    check(Shell::Bash);
}

fn the_foreground_under_dash() {
    check(Shell::Dash);
}

fn the_foreground_under_zsh() {
    check(Shell::Zsh);
}
