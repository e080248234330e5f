//! Messages on stderr, `rinit[PID]: level: text`, that never block, never kill and never change the descriptor
//! they share with the command.
//!
//! A line that stderr does not take at once is dropped and counted; the count is logged when it takes lines
//! again. The logger is built with the first message: most runs have none.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use env_logger::{Builder, Logger, Target};
use libc::pid_t;
use log::{LevelFilter, Log, Metadata, Record};

use crate::config::Verbosity;
use crate::sys::descriptor;

/// The longest line. PIPE_BUF: a pipe takes it whole or not at all, pipe(7).
const LONGEST: usize = 4096;

/// Lines dropped since the last that went out.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// rinit's pid. Not asked for with each message: the child has another one until it execs.
static PID: AtomicI32 = AtomicI32::new(0);

static MESSAGES: Messages = Messages { verbosity: OnceLock::new(), logger: OnceLock::new() };

struct Messages {
    verbosity: OnceLock<Verbosity>,
    logger: OnceLock<Logger>,
}

/// Sets what is logged, and the pid that messages name. Only the first call counts.
pub fn set_up(verbosity: &Verbosity, pid: pid_t) {
    PID.store(pid, Ordering::Relaxed);
    if MESSAGES.verbosity.set(verbosity.clone()).is_err() || log::set_logger(&MESSAGES).is_err() {
        return;
    }
    log::set_max_level(match verbosity {
        Verbosity::Level(level) => *level,
        Verbosity::Filter(_) => MESSAGES.logger().filter(),
    });
}

impl Messages {
    fn logger(&self) -> &Logger {
        self.logger.get_or_init(|| {
            let mut builder = Builder::new();
            match self.verbosity.get() {
                Some(Verbosity::Filter(filter)) => builder.parse_filters(filter),
                Some(Verbosity::Level(level)) => builder.filter_level(*level),
                None => builder.filter_level(LevelFilter::Warn),
            };
            builder
                .format(|line, record| {
                    let level = match record.level() {
                        log::Level::Error => "error",
                        log::Level::Warn => "warning",
                        log::Level::Info => "info",
                        log::Level::Debug => "debug",
                        log::Level::Trace => "trace",
                    };
                    writeln!(line, "rinit[{}]: {level}: {}", PID.load(Ordering::Relaxed), record.args())
                })
                .target(Target::Pipe(Box::new(NeverBlocking)))
                .build()
        })
    }
}

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        report_dropped();
        self.logger().log(record);
    }

    fn flush(&self) {}
}

/// Tells how many lines were dropped, if stderr takes lines again. Costs nothing where none were.
pub fn report_dropped() {
    let count = DROPPED.load(Ordering::Relaxed);
    if count == 0 {
        return;
    }
    let lines = if count == 1 { "message" } else { "messages" };
    let pid = PID.load(Ordering::Relaxed);
    let line = format!("rinit[{pid}]: warning: {count} {lines} dropped: stderr did not take them\n");
    if descriptor::write_to_stderr(line.as_bytes()).is_ok() {
        DROPPED.store(0, Ordering::Relaxed);
    }
}

/// stderr, as env_logger writes to it.
struct NeverBlocking;

impl Write for NeverBlocking {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut short;
        let whole = match line.get(..LONGEST) {
            Some(start) if line.len() > LONGEST => {
                short = start.to_vec();
                short.truncate(LONGEST - CUT.len());
                short.extend_from_slice(CUT);
                &short
            }
            _ => line,
        };
        if descriptor::write_to_stderr(whole).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        // To env_logger it is written either way: it could do nothing better about it.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a line that was longer than a pipe takes whole.
const CUT: &[u8] = b" [cut]\n";
