//! Leaving: the grace period, in which everything that the main child left behind may finish.

use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::config::Rewrites;
use crate::everyone::{Everyone, Reached};
use crate::inbox::{Event, Inbox};
use crate::message;
use crate::reap::{Found, Reaper};
use crate::sys::signal::Signal;
use crate::sys::wait::Patience;

/// Rounds of reaping without a look at anything else: something may leave orphans without end.
const ROUNDS: usize = 256;

/// Asks everyone left to end, and reaps until nobody is left or the time is over; then ends the rest.
pub fn leave(grace: Duration, everyone: Everyone, rewrites: &Rewrites, inbox: &mut Inbox, reaper: &mut Reaper) {
    // Most containers are empty by now: then nothing is asked and nothing is logged.
    if is_over(reaper, everyone) {
        return;
    }
    info!("processes are left behind; they have {grace:?} to finish");
    // None where that is further away than a clock can tell.
    let deadline = Instant::now().checked_add(grace);
    let mut asked = Reached::new();
    let mut resumed = Reached::new();
    ask(everyone, &mut asked, &mut resumed);
    let mut more = true;
    loop {
        match inbox.next(more, deadline) {
            Event::Deadline => break,
            Event::Signal(arrived) => {
                debug!("{} arrived while leaving", arrived.signal);
                if crate::forward::is_forwarded(arrived.signal)
                    && let Some(signal) = rewrites.apply(arrived.signal)
                {
                    everyone.send(signal, Some(&arrived));
                }
            }
            Event::Child => match reaper.reap(Patience::Look) {
                Found::More => more = true,
                Found::NoChildren if is_empty(everyone, inbox) => return,
                _ => {
                    more = false;
                    // A subreaper finds its descendants one by one; those that were re-parented to it since, or
                    // were born since, have not been asked.
                    if everyone != Everyone::Namespace {
                        ask(everyone, &mut asked, &mut resumed);
                    }
                }
            },
            // Without a wait that takes signals and ends in time nobody can be waited for.
            Event::Deaf => break,
        }
        message::report_dropped();
    }
    warn!("the time to finish is over: killing what is left");
    everyone.send(Signal::KILL, None);
    for _ in 0..ROUNDS {
        if reaper.reap(Patience::Look) != Found::More {
            return;
        }
    }
}

/// SIGTERM, and SIGCONT for those that are stopped: they could not act on it otherwise.
fn ask(everyone: Everyone, asked: &mut Reached, resumed: &mut Reached) {
    everyone.send_to_new(Signal::TERM, None, asked);
    everyone.send_to_new(Signal::CONT, None, resumed);
}

/// Whether nobody is left, now that rinit has no child any more. Who entered the namespace from outside (docker exec, the
/// containers of a pod) is nobody's child in it, so the inbox is to watch one of them, if /proc tells of any.
fn is_empty(everyone: Everyone, inbox: &mut Inbox) -> bool {
    if everyone.is_nobody() {
        return true;
    }
    let Ok(left) = everyone.list() else { return false };
    // Only zombies, which their parents outside will reap. Or the last has ended since.
    left.is_empty() || (!left.iter().any(|process| inbox.watch(process.pid)) && everyone.is_nobody())
}

/// Whether nobody is left, after reaping those who have ended already.
fn is_over(reaper: &mut Reaper, everyone: Everyone) -> bool {
    for _ in 0..ROUNDS {
        match reaper.reap(Patience::Look) {
            Found::More => {}
            Found::NoChildren => return everyone.is_nobody(),
            _ => return false,
        }
    }
    false
}
