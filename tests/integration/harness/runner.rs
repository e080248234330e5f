//! Runs the tests, each in a process of its own, and reports what is missing on this machine as skipped.
//!
//! The standard harness cannot skip a test at run time, and it runs all tests in one process: a descriptor that one
//! test holds while another one forks would leak into the other's child. Here a test can also hang or crash without
//! taking the others with it. The command line is the standard harness's, as far as it makes sense.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::descendants;
use super::engine::repository_file;
use super::requirements::Requirement;
use super::scratch::{scratch_file, scratch_text};

/// One test, as `tests!` lists it.
pub struct Test {
    /// `integration::MODULE::FUNCTION`.
    pub path: &'static str,
    pub function: fn(),
    /// What the test needs of the machine. Where one of these is missing the test is skipped.
    pub requirements: [&'static [Requirement]; 2],
}

impl Test {
    fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }
}

/// Lists a module's tests. What stands before the semicolon is needed by all of them.
///
/// A test that is not listed is unused code: the compiler warns of it.
///
/// ```ignore
/// tests! {
///     requires [Namespaces];
///     orphans_are_reaped,
///     each_signal_of_docker_kill_arrives requires [Docker],
/// }
/// ```
macro_rules! tests {
    (requires [$($all:expr),*]; $($name:ident $(requires [$($one:expr),*])?),* $(,)?) => {
        const REQUIRED_BY_ALL: &[$crate::harness::requirements::Requirement] = requirements![$($all),*];

        pub const TESTS: &[$crate::harness::runner::Test] = &[$($crate::harness::runner::Test {
            path: concat!(module_path!(), "::", stringify!($name)),
            function: $name,
            requirements: [REQUIRED_BY_ALL, requirements![$($($one),*)?]],
        }),*];
    };
}

/// A list of requirements, by their names alone.
macro_rules! requirements {
    ($($one:expr),*) => {{
        #[allow(unused_imports, reason = "a list may be empty")]
        use $crate::harness::requirements::Requirement::*;
        &[$($one),*]
    }};
}

/// The command line's first word in a process that runs one test; the test's name follows.
const RUN_ONE: &str = "--run-one";

/// What became of a test.
enum Verdict {
    Passed,
    Skipped(String),
    /// Why, and what the test wrote.
    Failed(String, String),
}

/// Runs the tests that the command line asks for.
pub fn main(modules: &[&'static [Test]]) -> ExitCode {
    let tests: Vec<&Test> = modules.iter().copied().flatten().collect();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [RUN_ONE, name] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        (tests.iter().find(|test| test.name() == name).expect("a test of this name").function)();
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<&Test> = tests.iter().copied().filter(|test| options.chooses(test.name())).collect();
    if options.list {
        chosen.iter().for_each(|test| println!("{}: test", test.name()));
        return ExitCode::SUCCESS;
    }
    run_all(&chosen, tests.len() - chosen.len(), &options)
}

/// The options of the command line.
struct Options {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    capture: bool,
    quiet: bool,
    none: bool,
    /// Starts no further test when one has failed.
    fail_fast: bool,
    threads: usize,
}

impl Options {
    fn parse(words: Vec<String>) -> Result<Self, String> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = std::env::var("RUST_TEST_THREADS").ok().and_then(|number| number.parse().ok());
        let mut options = Self {
            filters: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            list: false,
            capture: true,
            quiet: false,
            none: false,
            fail_fast: std::env::var_os("RINIT_TEST_FAIL_FAST").is_some(),
            threads: threads.unwrap_or(processors),
        };
        let mut words = words.into_iter().flat_map(|word| match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => vec![option.to_owned(), value.to_owned()],
            _ => vec![word],
        });
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} takes a value"));
            match word.as_str() {
                "--exact" => options.exact = true,
                "--list" => options.list = true,
                "--nocapture" | "--no-capture" => options.capture = false,
                "--quiet" | "-q" => options.quiet = true,
                "--fail-fast" => options.fail_fast = true,
                // No test is marked as ignored.
                "--ignored" => options.none = true,
                "--include-ignored" => {}
                "--format" | "--color" => drop(value()?),
                "--skip" => options.skipped.push(value()?),
                "--test-threads" => {
                    let number = value()?;
                    options.threads = number.parse().map_err(|_| format!("--test-threads: not a number: {number}"))?;
                }
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }

    fn chooses(&self, name: &str) -> bool {
        let matches = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        !self.none && (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skipped.iter().any(matches)
    }
}

fn run_all(chosen: &[&Test], left_out: usize, options: &Options) -> ExitCode {
    let start = Instant::now();
    println!("\nrunning {} tests", chosen.len());
    let waiting = Mutex::new(chosen.iter());
    let verdicts = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let Some(test) = waiting.lock().unwrap().next() else { break };
                    let verdict = run(test, options.capture);
                    if options.fail_fast && matches!(verdict, Verdict::Failed(..)) {
                        waiting.lock().unwrap().by_ref().for_each(drop);
                    }
                    let line = match &verdict {
                        Verdict::Passed => "ok".to_owned(),
                        Verdict::Skipped(reason) => format!("skipped: {reason}"),
                        Verdict::Failed(reason, _) => format!("FAILED: {reason}"),
                    };
                    // Held while it prints, so that no two lines mix.
                    let mut verdicts = verdicts.lock().unwrap();
                    if !(options.quiet && matches!(verdict, Verdict::Passed)) {
                        println!("test {} ... {line}", test.name());
                    }
                    verdicts.insert(test.name(), verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap();
    let (mut failed, mut skipped) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for (name, verdict) in &verdicts {
        match verdict {
            Verdict::Passed => {}
            Verdict::Skipped(reason) => *skipped.entry(reason).or_default() += 1,
            Verdict::Failed(reason, output) => failed.push((name, reason, output)),
        }
    }
    failed.iter().for_each(|(name, reason, output)| println!("\n---- {name}: {reason} ----\n{output}"));
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|(name, reason, _)| println!("    {name}: {reason}"));
    }
    if !skipped.is_empty() {
        println!("\nskipped:");
        skipped.iter().for_each(|(reason, count)| println!("    {count}: {reason}"));
    }
    let count_skipped: usize = skipped.values().sum();
    println!(
        "\ntest result: {}. {} passed; {} failed; {count_skipped} skipped; {left_out} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        verdicts.len() - failed.len() - count_skipped,
        failed.len(),
        start.elapsed().as_secs_f64()
    );
    // As the standard harness has it.
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run(test: &Test, capture: bool) -> Verdict {
    let missing = test.requirements.into_iter().flatten().find_map(Requirement::missing);
    if let Some(missing) = missing {
        return match is_ci() {
            true => Verdict::Failed(format!("{missing}, which CI has to have"), String::new()),
            false => Verdict::Skipped(missing),
        };
    }
    let output = scratch_file();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([RUN_ONE, test.name()]).stdin(Stdio::null());
    if capture {
        command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
    }
    match run_to_end(&mut command) {
        Ok(status) if status.success() => Verdict::Passed,
        Ok(status) => Verdict::Failed(how_it_ended(status), scratch_text(&output)),
        Err(error) => Verdict::Failed(error.to_string(), scratch_text(&output)),
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        // That of a panic.
        (Some(101), _) => "it failed".to_owned(),
        (Some(code), _) => format!("it exited with {code}"),
        (None, signal) => format!("it was killed by signal {}", signal.unwrap_or(0)),
    }
}

/// Runs a test's process to its end. A test that hangs is killed, with everything below it.
fn run_to_end(command: &mut Command) -> io::Result<ExitStatus> {
    let start = Instant::now();
    let mut child = loop {
        match command.spawn() {
            // A machine that is short of processes may have some in a moment.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < time_limit() => {
                thread::sleep(Duration::from_millis(50));
            }
            result => break result?,
        }
    };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > time_limit() {
            kill_tree(child.id() as libc::pid_t);
            child.wait()?;
            return Err(io::Error::other(format!("it did not end within {} s", time_limit().as_secs())));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// How long a test may take before it counts as hung. No condition within a test waits this long.
pub fn time_limit() -> Duration {
    let seconds = std::env::var("RINIT_TEST_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(600))
}

fn kill_tree(pid: libc::pid_t) {
    // The processes below it are looked up first: they get another parent when it ends.
    for pid in [vec![pid], descendants(pid)].concat() {
        // SAFETY: numbers only. A process that has ended by itself needs no signal.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Whether nothing may be skipped.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

tests! {
    requires [];
    every_test_is_listed,
}

/// The compiler leaves out what has the standard harness's attribute, without a word.
fn every_test_is_listed() {
    let directory = repository_file("tests/integration");
    let output = Command::new("grep").args(["-rnE", r"^\s*#\[test\]", &directory]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "a test is listed by `tests!` in place of its attribute");
}
