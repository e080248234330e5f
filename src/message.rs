//! Messages on stderr, `rinit[PID]: level: text`, that never block, never kill and never change the descriptor
//! they share with the command.
//!
//! A line that stderr does not take at once is dropped and counted; the count is logged when it takes lines
//! again. env_logger tells which messages a filter lets through. Its own way of writing them is not used: what it keeps
//! for a thread has musl change the signal mask, which no call of PID 1's may do once the command runs.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use env_logger::{Builder, Logger};
use libc::pid_t;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::Verbosity;
use crate::sys::descriptor;

/// The longest line. PIPE_BUF: a pipe takes it whole or not at all, pipe(7).
const LONGEST: usize = 4096;

/// The end of a line that was longer than that.
const CUT: &[u8] = b" [cut]\n";

/// Lines dropped since the last that went out.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The last line that went out went out in part.
static IS_CUT: AtomicBool = AtomicBool::new(false);

/// rinit's pid. Not asked for with each message: the child has another one until it execs.
static PID: AtomicI32 = AtomicI32::new(0);

static MESSAGES: OnceLock<Messages> = OnceLock::new();

/// What is logged.
enum Messages {
    /// Up to a level.
    Level(LevelFilter),
    /// What a filter lets through.
    Filter(Logger),
}

/// Sets what is logged, and the pid that messages name. Only the first call counts.
pub fn set_up(verbosity: &Verbosity, pid: pid_t) {
    PID.store(pid, Ordering::Relaxed);
    let messages = MESSAGES.get_or_init(|| match verbosity {
        Verbosity::Level(level) => Messages::Level(*level),
        Verbosity::Filter(filter) => Messages::Filter(Builder::new().parse_filters(filter).build()),
    });
    if log::set_logger(messages).is_ok() {
        log::set_max_level(match messages {
            Messages::Level(level) => *level,
            Messages::Filter(logger) => logger.filter(),
        });
    }
}

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match self {
            Self::Level(level) => metadata.level() <= *level,
            Self::Filter(logger) => logger.enabled(metadata),
        }
    }

    fn log(&self, record: &Record<'_>) {
        let is_wanted = match self {
            Self::Level(level) => record.level() <= *level,
            Self::Filter(logger) => logger.matches(record),
        };
        if is_wanted {
            report_dropped();
            write(record);
        }
    }

    fn flush(&self) {}
}

/// Writes a message as a line, or counts it where stderr does not take it.
fn write(record: &Record<'_>) {
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

/// Tells how many lines were dropped, if stderr takes lines again. Costs nothing where none were.
pub fn report_dropped() {
    let count = DROPPED.load(Ordering::Relaxed);
    if count == 0 {
        return;
    }
    let lines = if count == 1 { "message" } else { "messages" };
    if write_line("warning", &format_args!("{count} {lines} dropped: stderr did not take them")) {
        DROPPED.store(0, Ordering::Relaxed);
    }
}

/// Writes a line; whether stderr took it. A terminal, a socket or a disk that fills up may take a part of one: it is lost
/// all the same, and the next begins on a line of its own.
fn write_line(level: &str, text: &fmt::Arguments<'_>) -> bool {
    let pid = PID.load(Ordering::Relaxed);
    let start = if IS_CUT.load(Ordering::Relaxed) { "\n" } else { "" };
    let mut line = format!("{start}rinit[{pid}]: {level}: {text}\n").into_bytes();
    if line.len() > LONGEST {
        line.truncate(LONGEST - CUT.len());
        line.extend_from_slice(CUT);
    }
    let taken = descriptor::write_to_stderr(&line).unwrap_or(0);
    let is_whole = taken == line.len();
    if taken > 0 {
        IS_CUT.store(!is_whole && taken > start.len(), Ordering::Relaxed);
    }
    is_whole
}
