//! Messages on stderr, `rinit[PID]: level: text`, one line each. They never block rinit, never kill
//! it, and never change the flags of stderr, which it shares with the command.
//!
//! A line that stderr does not take at once is dropped and counted. The count is logged when stderr
//! takes lines again. env_logger parses filters and matches records, but does not write them: its
//! thread-local state makes musl change the signal mask, which must not happen once the command
//! runs.

pub(crate) mod escape;
mod stderr;

use std::fmt::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use env_logger::{Builder, Logger};
use libc::pid_t;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::Verbosity;
use crate::sys::text::Text;

/// The longest line: PIPE_BUF. A pipe takes it as a whole or not at all, see pipe(7).
const LONGEST: usize = 4096;

/// The end of a line that is cut because it is too long.
const TRUNCATED: &[u8] = b" [cut]\n";

/// How many lines were dropped since the count was last logged.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Whether stderr took only a part of the last line.
static IS_CUT: AtomicBool = AtomicBool::new(false);

/// rinit's pid. It is stored because the child, which has another pid, logs under rinit's until it
/// executes the command.
static PID: AtomicI32 = AtomicI32::new(0);

/// The env_logger filter, if there is one. Otherwise the maximum level of the log crate decides.
static FILTER: OnceLock<Logger> = OnceLock::new();

/// Sets what is logged, and the pid in messages. Only the first call counts.
pub(crate) fn init(verbosity: &Verbosity, pid: pid_t) {
    PID.store(pid, Ordering::Relaxed);
    if log::set_logger(&Messages).is_ok() {
        log::set_max_level(match verbosity {
            Verbosity::Level(level) => *level,
            Verbosity::Filter(filter) => set_filter(filter),
        });
    }
}

/// Sets the filter. A part of rinit that it does not name logs warnings and errors. Returns its
/// highest level. Out of line, so that a start without a filter does not have the Builder's stack
/// frame.
#[inline(never)]
fn set_filter(filter: &str) -> LevelFilter {
    FILTER.get_or_init(|| Builder::new().filter_level(LevelFilter::Warn).parse_filters(filter).build()).filter()
}

struct Messages;

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        FILTER.get().is_none_or(|filter| filter.enabled(metadata))
    }

    /// Writes a message as a line, or counts it if stderr does not take it.
    fn log(&self, record: &Record<'_>) {
        if FILTER.get().is_none_or(|filter| filter.matches(record)) {
            report_dropped();
            let level = match record.level() {
                Level::Error => "error",
                Level::Warn => "warning",
                Level::Info => "info",
                Level::Debug => "debug",
                Level::Trace => "trace",
            };
            if !write_line(level, record.args()) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

/// Logs how many lines were dropped, if stderr takes lines again. Costs nothing if none were
/// dropped.
pub(crate) fn report_dropped() {
    let count = DROPPED.load(Ordering::Relaxed);
    if count == 0 {
        return;
    }
    let messages = if count == 1 { "message" } else { "messages" };
    if write_line("warning", &format_args!("{count} {messages} dropped: stderr did not take them")) {
        DROPPED.store(0, Ordering::Relaxed);
    }
}

/// Writes a line. Returns whether stderr took it as a whole. A terminal, a socket or a disk that
/// fills up may take a part. Then the line counts as dropped, and the next one starts with a
/// newline. Out of line, so that the buffer is not in the loop's stack frame.
#[inline(never)]
fn write_line(level: &str, text: &fmt::Arguments<'_>) -> bool {
    let mut line = Text::<LONGEST>::new();
    let start = if IS_CUT.load(Ordering::Relaxed) { "\n" } else { "" };
    let pid = PID.load(Ordering::Relaxed);
    if writeln!(line, "{start}rinit[{pid}]: {level}: {text}").is_err() {
        line.truncate(LONGEST - TRUNCATED.len());
        line.push(TRUNCATED);
    }
    let taken = stderr::write(line.as_bytes());
    let is_whole = taken == line.as_bytes().len();
    if taken > 0 {
        IS_CUT.store(!is_whole && taken > start.len(), Ordering::Relaxed);
    }
    is_whole
}
