//! The life of an init: prepare, start the command, let go of what is the command's, supervise, leave.

use std::time::Instant;

use libc::pid_t;
use log::{Level, debug, error, info, log_enabled, warn};

use crate::config::{Config, Target};
use crate::error::{EXIT_FAILURE, Error};
use crate::everyone::Everyone;
use crate::forward;
use crate::inbox::{Event, Inbox};
use crate::leave;
use crate::message;
use crate::reap::{Found, Reaper};
use crate::spawn::{self, Inherited};
use crate::sys::signal::{self, Arrived, Disposition, Signal, SignalSet};
use crate::sys::wait::{Changes, Patience};
use crate::sys::{descriptor, process};
use crate::terminal::{Next, Terminal};

/// Runs the command and answers with its exit code. Every signal is blocked already; `mask` is what was blocked
/// before.
pub fn run(config: &Config, command: &[&'static std::ffi::CStr], mask: SignalSet) -> u8 {
    let Prepared { pid, child, duty } = match prepare(config) {
        Ok(prepared) => prepared,
        Err(error) => return crate::fail(&error),
    };
    // Only where it is told: to ask for the time would map the vDSO's page, and two page tables to reach it.
    let started = log_enabled!(Level::Info).then(Instant::now);
    let terminal = Terminal::controlling();
    let main_child = match spawn::start(command, Inherited { mask, child }, terminal.as_ref()) {
        Ok(main_child) => main_child,
        Err(code) => {
            if let Some(terminal) = &terminal {
                terminal.take_back(0);
            }
            return code;
        }
    };

    // From here on nothing returns an error: rinit's death would be the container's.
    let_go(terminal.as_ref());
    // Only a terminal gives a stop a meaning for rinit.
    let changes = if terminal.is_some() { Changes::EndOrStop } else { Changes::End };
    info!("running {} as process {main_child}, rinit is {duty}", Quoted(command));
    Init {
        config,
        terminal: terminal.as_ref(),
        main_child,
        everyone: Everyone::of(pid),
        inbox: Inbox::default(),
        reaper: Reaper::new(Some(main_child), changes, config.warn_on_reap),
        stop_was_sent: false,
    }
    .live(started)
}

/// Reaps and waits, without a command, until somebody asks it to end: the pause container of a pod.
#[inline(never)]
pub fn pause(config: &Config) -> u8 {
    let Prepared { pid, duty, .. } = match prepare(config) {
        Ok(prepared) => prepared,
        Err(error) => return crate::fail(&error),
    };
    let_go(None);
    info!("no command: reaping until SIGTERM or SIGINT, rinit is {duty}");
    let mut inbox = Inbox::default();
    let mut reaper = Reaper::new(None, Changes::End, config.warn_on_reap);
    let mut more = false;
    loop {
        match inbox.next(more, None) {
            Event::Child => more = reaper.reap(Patience::Look) == Found::More,
            Event::Signal(arrived) => {
                note_arrival(&arrived);
                // A rewrite is for what is forwarded, and there is nobody to forward to.
                if matches!(arrived.signal, Signal::TERM | Signal::INT) {
                    break;
                }
            }
            Event::Deadline => {}
            Event::Deaf => {
                error!("cannot wait for signals: leaving");
                return EXIT_FAILURE;
            }
        }
        message::report_dropped();
    }
    if !config.grace.is_zero() {
        leave::leave(config.grace, Everyone::of(pid), &config.rewrites, &mut inbox, &mut reaper);
    }
    info!("leaving after {} orphans", reaper.orphans());
    0
}

/// A process that has become an init.
struct Prepared {
    pid: pid_t,
    /// Whether it inherited SIGCHLD as ignored.
    child: Disposition,
    /// What makes it one, in a word for messages.
    duty: &'static str,
}

/// Makes of this process an init.
fn prepare(config: &Config) -> Result<Prepared, Error> {
    let pid = process::own_pid();
    message::set_up(&config.verbosity, pid);
    // Ignored, the kernel would reap the children itself and their status would be lost: wait(2), notes.
    let child = signal::set_disposition(Signal::CHLD, Disposition::Default)
        .map_err(|errno| Error::Failed("cannot set the disposition of SIGCHLD".into(), errno))?;
    if let Some(signal) = config.parent_death_signal {
        receive_parent_death(signal, pid)?;
    }
    // PID 1 is the reaper of its namespace anyway: pid_namespaces(7).
    let duty = if pid == 1 {
        "PID 1"
    } else if let Err(errno) = process::become_subreaper() {
        warn!("cannot become subreaper: {}; orphans go to another process", errno.desc());
        "no subreaper"
    } else {
        "subreaper"
    };
    Ok(Prepared { pid, child, duty })
}

/// Asks for a signal on the parent's death, and sends it itself where that came first: PR_SET_PDEATHSIG(2const).
fn receive_parent_death(signal: Signal, pid: pid_t) -> Result<(), Error> {
    let parent = process::parent_pid();
    process::set_parent_death_signal(signal)
        .map_err(|errno| Error::Failed(format!("cannot ask for {signal} on the parent's death"), errno))?;
    if process::parent_pid() != parent {
        signal::send(pid, Some(signal)).map_err(|errno| {
            Error::Failed(format!("the parent has died, and {signal} cannot be sent for it"), errno)
        })?;
    }
    Ok(())
}

/// Keeps nothing that is the command's: its reader sees end-of-file when the command closes stdout, and no
/// directory stays in use. stderr stays, for messages, and rinit's own descriptor for the terminal.
fn let_go(terminal: Option<&Terminal>) {
    let own = terminal.map_or(libc::STDERR_FILENO, Terminal::descriptor);
    // SAFETY: rinit owns one descriptor above stderr at most, and that is left out.
    unsafe {
        descriptor::close_range(libc::STDIN_FILENO, libc::STDOUT_FILENO);
        descriptor::close_range(libc::STDERR_FILENO + 1, own - 1);
        descriptor::close_range(own + 1, i32::MAX);
    }
    if let Err(errno) = nix::unistd::chdir(c"/") {
        warn!("cannot move to /: {}", errno.desc());
    }
}

/// An init with a command that runs.
struct Init<'a> {
    config: &'a Config,
    terminal: Option<&'a Terminal>,
    main_child: pid_t,
    everyone: Everyone,
    inbox: Inbox,
    reaper: Reaper,
    /// A stop was forwarded, and no continue since: the next stop of the command is one that somebody wants.
    stop_was_sent: bool,
}

impl Init<'_> {
    /// From the command's start to the exit code.
    fn live(mut self, started: Option<Instant>) -> u8 {
        let code = self.supervise();
        if let Some(terminal) = self.terminal {
            terminal.take_back(self.main_child);
        }
        if !self.config.grace.is_zero() {
            let Self { config, everyone, inbox, reaper, .. } = &mut self;
            leave::leave(config.grace, *everyone, &config.rewrites, inbox, reaper);
        }
        if let Some(started) = started {
            info!("exiting with {code} after {} orphans and {:.1?}", self.reaper.orphans(), started.elapsed());
        }
        message::report_dropped();
        code
    }

    /// The loop: waits, reaps, forwards, until the main child has ended.
    fn supervise(&mut self) -> u8 {
        let mut more_children = false;
        loop {
            let found = match self.inbox.next(more_children, None) {
                Event::Signal(arrived) => {
                    self.pass_on(&arrived);
                    message::report_dropped();
                    continue;
                }
                Event::Child => self.reaper.reap(Patience::Look),
                // Not able to wait for signals, rinit can still wait for the main child.
                Event::Deaf => self.reaper.reap(Patience::Block),
                Event::Deadline => continue,
            };
            match found {
                Found::MainEnded(status) => return self.exit_code(status.mirrored()),
                Found::MainStopped(signal) => self.stopped(signal),
                Found::Broken => {
                    error!("cannot wait for the main child: leaving without its exit code");
                    return EXIT_FAILURE;
                }
                Found::More | Found::Nothing | Found::NoChildren => {}
            }
            more_children = matches!(found, Found::More | Found::MainStopped(_));
            message::report_dropped();
        }
    }

    /// The main child's code, or 0 where it is one of those that are to be.
    fn exit_code(&self, code: u8) -> u8 {
        if self.config.remapped.contains(code) {
            debug!("exit code {code} becomes 0");
            return 0;
        }
        code
    }

    /// A signal arrived: what it becomes, and to whom it goes.
    fn pass_on(&mut self, arrived: &Arrived) {
        note_arrival(arrived);
        if !forward::is_forwarded(arrived.signal) {
            return;
        }
        let Some(signal) = self.config.rewrites.apply(arrived.signal) else {
            return debug!("{} is dropped, as --rewrite has it", arrived.signal);
        };
        match signal {
            Signal::CONT => {
                self.stop_was_sent = false;
                if let Some(terminal) = self.terminal {
                    terminal.hand_over(self.group());
                }
            }
            // Of the kernel's own making it is the terminal's: a Ctrl-Z before the hand-over, or after a `fg` that
            // rinit was not told of.
            stop if stop.is_terminal_stop() && arrived.signal == stop && arrived.sender().is_none() => {}
            stop if stop == Signal::STOP || stop.is_terminal_stop() => self.stop_was_sent = true,
            _ => {}
        }
        forward::forward(arrived, signal, self.config.target, self.main_child, self.everyone);
    }

    /// The main child was stopped: the terminal's rules say what follows.
    fn stopped(&mut self, by: Signal) {
        debug!("main child {} was stopped by {by}", self.main_child);
        let group = self.group();
        // Only that one: whoever continued the command may have done so without rinit, and a Ctrl-Z may follow.
        let was_sent = std::mem::take(&mut self.stop_was_sent);
        let next = self.terminal.map_or(Next::Stay, |terminal| terminal.stopped(by, group, was_sent));
        if next == Next::Continue {
            let target = if self.config.target == Target::MainChild { self.main_child } else { -group };
            forward::note(Signal::CONT, target, signal::send(target, Some(Signal::CONT)));
        }
    }

    /// The process group that the main child is in now.
    fn group(&self) -> pid_t {
        process::group_of(self.main_child).unwrap_or(self.main_child)
    }
}

fn note_arrival(arrived: &Arrived) {
    match arrived.sender() {
        Some(0) => debug!("{} arrived from outside the PID namespace", arrived.signal),
        Some(pid) => debug!("{} arrived from process {pid}", arrived.signal),
        None => debug!("{} arrived from the kernel", arrived.signal),
    }
}

/// A command line for a message.
struct Quoted<'a>(&'a [&'static std::ffi::CStr]);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(out, "{space}'{}'", crate::printable::Printable::bytes(word.to_bytes()))?;
        }
        Ok(())
    }
}
