//! An init from start to exit: prepare, spawn the command, release what only the command needs,
//! supervise, shut down. [`run`] is the table of contents, [`Supervisor::supervise`] the loop.

mod events;
mod exec;
mod forward;
mod job_control;
pub(crate) mod pause;
mod reap;
mod shutdown;
mod spawn;
mod terminal;
mod watch;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use libc::pid_t;
use log::{Level, debug, error, info, log_enabled, warn};
use nix::errno::Errno;
use nix::unistd::getppid;

use crate::config::{Config, Target};
use crate::error::Error;
use crate::logging::{self, escape::Escaped};
use crate::signal::scope::{AlreadySignalled, Recipients, SignalScope};
use crate::signal::{Signal, SignalInfo, SignalSet};
use crate::sys::arguments::Arguments;
use crate::sys::wait::{self, WaitFor};
use crate::sys::{arena, descriptor, process};
use events::{Event, EventSource};
use job_control::Job;
use reap::{ReapOutcome, Reaper};
use shutdown::Leftovers;
use spawn::Inherited;
use terminal::Terminal;

/// Runs the command. Returns the exit code. Every signal is blocked already; `mask` is the signal
/// mask that rinit was started with.
///
/// # Errors
/// As for [`prepare`]. If the command cannot be started, this logs the reason and returns the exit
/// code for it.
pub(crate) fn run(config: &Config, command: Arguments, pid: pid_t, mask: SignalSet) -> Result<u8, Error> {
    let (inherited, role) = prepare(config, pid, mask)?;
    let started = start_time();
    let terminal = if config.starts_session() { None } else { Terminal::controlling(pid, mask) };
    let main_child = match spawn::start(config, command, inherited, terminal.as_ref()) {
        Ok(main_child) => main_child,
        Err(code) => {
            if let Some(terminal) = &terminal {
                terminal.take_back(0);
            }
            return Ok(code);
        }
    };

    // From here on nothing returns an error: if rinit dies, the container dies.
    release_inherited(terminal.as_ref());
    // rinit reacts to a stop or a continue only if there is a terminal.
    let wait_for = if terminal.is_some() { WaitFor::EndStopContinue } else { WaitFor::End };
    info!("running {} as process {main_child}; rinit is {role}", Quoted(command));
    let supervisor = Supervisor {
        config,
        main_child,
        scope: SignalScope::of(pid),
        job: terminal.map(|terminal| Job::new(terminal, main_child)),
        events: EventSource::new(Reaper::new(Some(main_child), wait_for, config.warn_on_reap)),
        asked: None,
        kill_at: None,
    };
    Ok(supervisor.run(started))
}

/// Makes this process an init. Returns what the command has to get back, and rinit's role for
/// messages: PID 1, a subreaper or neither.
///
/// # Errors
/// [`Error::Failed`] if the kernel or a sandbox refuses a call that an init cannot do without.
fn prepare(config: &Config, pid: pid_t, mask: SignalSet) -> Result<(Inherited, &'static str), Error> {
    if pid < 1 {
        return Err(Error::Failed("cannot get rinit's own pid".into(), Errno::last()));
    }
    // If SIGCHLD were ignored, the kernel would reap the children itself, and their status would be
    // lost: see wait(2), NOTES.
    let ignores_sigchld = Signal::CHLD
        .set_ignored(false)
        .map_err(|errno| Error::Failed("cannot set the disposition of SIGCHLD".into(), errno))?;
    if let Some(signal) = config.parent_death_signal {
        signal
            .receive_on_death_of(getppid())
            .map_err(|errno| Error::Failed(format!("cannot ask for {signal} on the parent's death"), errno))?;
    }
    // rinit's starter may have set SIGKILL as well. If PID 1 dies, the kernel kills every process
    // of the namespace, so its command needs no such setting.
    let is_inherited = || nix::sys::prctl::get_pdeathsig() == Ok(Some(nix::sys::signal::SIGKILL));
    let dies_with_parent = pid != 1 && (config.parent_death_signal == Some(Signal::KILL) || is_inherited());
    // PID 1 adopts the orphans of its namespace anyway: see pid_namespaces(7).
    let role = if pid == 1 {
        "PID 1"
    } else if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        warn!("cannot become a subreaper: {}; orphans go to another process", errno.desc());
        "not a subreaper"
    } else {
        "a subreaper"
    };
    // The options have been parsed. Nothing allocates from here on.
    arena::release();
    Ok((Inherited { pid, mask, ignores_sigchld, dies_with_parent }, role))
}

/// Closes the inherited descriptors and leaves the working directory. So a reader sees end-of-file
/// when the command closes stdout, and no directory stays in use. stderr and rinit's own descriptor
/// for the terminal stay open.
fn release_inherited(terminal: Option<&Terminal>) {
    descriptor::close_all_but_stderr_and(terminal.map(|terminal| terminal.descriptor.as_fd()));
    if let Err(errno) = nix::unistd::chdir(c"/") {
        warn!("cannot change the working directory to /: {}", errno.desc());
    }
}

/// The time, for the closing line. `None` if that is not logged: to read the clock faults in the
/// vDSO's page tables.
fn start_time() -> Option<Instant> {
    log_enabled!(Level::Info).then(Instant::now)
}

/// Logs the closing line, if the time of the start was read for it, and how many lines were dropped.
fn log_exit(code: u8, events: &EventSource, started: Option<Instant>) {
    if let Some(started) = started {
        let orphans = events.reaper.orphans;
        let noun = if orphans == 1 { "orphan" } else { "orphans" };
        info!("exiting with {code} after {orphans} {noun} and {:.1?}", started.elapsed());
    }
    logging::report_dropped();
}

/// The state of an init whose command runs.
struct Supervisor<'a> {
    config: &'a Config,
    main_child: pid_t,
    /// Which processes rinit is responsible for.
    scope: SignalScope,
    /// The command as a job of the terminal, if there is one.
    job: Option<Job>,
    events: EventSource,
    /// The processes that have been sent SIGTERM. The grace period does not ask them again.
    asked: Option<AlreadySignalled>,
    /// When to kill the main child: `--kill-after`.
    kill_at: Option<Instant>,
}

impl Supervisor<'_> {
    /// Supervises the command, and then the processes that it leaves behind. Returns the exit code.
    fn run(mut self, started: Option<Instant>) -> u8 {
        let code = self.supervise();
        let (config, main_child, scope) = (self.config, self.main_child, self.scope);
        if let Some(job) = &self.job {
            job.terminal.take_back(main_child);
        }
        let (terminal, asked) = (self.job.as_ref().map(|job| &job.terminal), self.asked);
        Leftovers { scope, main_child: Some(main_child), terminal, asked }.wait(config, &mut self.events);
        log_exit(code, &self.events, started);
        code
    }

    /// The loop: waits, reaps and forwards, until the main child has ended. Returns the exit code.
    fn supervise(&mut self) -> u8 {
        loop {
            match self.events.next(self.kill_at) {
                Event::Signal(info) => self.receive(&info),
                Event::Deadline => self.kill(),
                Event::Reaped(ReapOutcome::MainEnded(status)) => return self.exit_code(status.shell_exit_code()),
                Event::Reaped(ReapOutcome::Failed(errno)) => {
                    error!("cannot wait for the main child: {}; exiting without its code", errno.desc());
                    return self.config.persona.codes.failure;
                }
                Event::Reaped(outcome) => {
                    if let Some(job) = &mut self.job {
                        job.follow(&outcome);
                    }
                }
            }
        }
    }

    /// The main child's exit code, or 0 if `--remap-exit` lists it.
    fn exit_code(&self, code: u8) -> u8 {
        if self.config.remapped.contains(code) {
            debug!("exit code {code} becomes 0");
            return 0;
        }
        code
    }

    /// Rewrites and forwards a signal that was taken. Starts the time of `--kill-after` if the
    /// signal is a request to end.
    fn receive(&mut self, info: &SignalInfo) {
        if let Some(signal) = forward::rewrite(self.config, info) {
            if self.job.as_mut().is_some_and(|job| !job.prepare_for(signal, info)) {
                return;
            }
            let has_job_control = self.job.as_ref().is_some_and(|job| job.terminal.has_job_control);
            let recipients = self.recipients(forward::target(self.config, signal, info, has_job_control));
            self.asked = forward::forward(self.config, signal, recipients, info).or(self.asked);
            let asks_to_end = |signal| matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT);
            if self.kill_at.is_none() && (asks_to_end(signal) || asks_to_end(info.signal)) {
                self.kill_at = self.config.kill_after.and_then(|after: Duration| Instant::now().checked_add(after));
            }
        }
        if self.config.persona.suspends_itself && info.signal.is_terminal_stop() {
            // If rinit is PID 1, the kernel ignores this SIGSTOP.
            let _ = Signal::STOP.send(process::own_pid());
        }
    }

    /// The processes that this target stands for, while the main child lives.
    fn recipients(&self, target: Target) -> Recipients {
        match target {
            Target::MainChild => Recipients::MainChild(self.main_child),
            Target::Group => Recipients::Job(self.main_child),
            Target::Everyone => Recipients::Everyone(self.scope, Some(self.main_child)),
        }
    }

    /// Kills the main child, unless it has ended within `--kill-after` and is still to be reaped.
    fn kill(&mut self) {
        self.kill_at = None;
        if wait::has_ended(self.main_child) {
            return;
        }
        warn!("main child {} has not ended in time: killing it", self.main_child);
        self.recipients(self.config.target).send(Signal::KILL, None);
    }
}

/// A command line as text for a message, each word in quotes.
struct Quoted(Arguments);

impl std::fmt::Display for Quoted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(out, "{space}'{}'", Escaped(word.to_bytes()))?;
        }
        Ok(())
    }
}
