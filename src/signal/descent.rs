//! How processes are related to rinit: by their chains of parents, which /proc shows.

use libc::pid_t;

use crate::procfs::{self, Process};
use crate::sys::process;

/// The longest chain of parents that rinit follows.
const DEPTH: usize = 4096;

/// How a process is related to rinit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// rinit is not responsible for it.
    Unrelated,
    /// rinit is responsible for it.
    Own,
    /// Like `Own`, but an ancestor of it is a process for which `Descent::is_marked` returns
    /// true.
    Dependent,
}

/// How often rinit looks up the parent of a process again because the parent has just ended.
const RETRIES: usize = 8;

/// How many parents rinit remembers during one walk over /proc, each with the relation of its
/// children.
const REMEMBERED: usize = 64;

/// Finds out by their chains of parents how processes are related to rinit.
pub(super) struct Descent<F> {
    own_pid: pid_t,
    is_marked: F,
    remembered: [(pid_t, Relation); REMEMBERED],
}

impl<F: Fn(&Process) -> bool> Descent<F> {
    /// Knows no relation yet. A descendant of a process for which `is_marked` returns true is
    /// a dependent.
    pub(super) fn new(is_marked: F) -> Self {
        Self { own_pid: process::own_pid(), is_marked, remembered: [(0, Relation::Unrelated); REMEMBERED] }
    }

    /// Whether rinit is responsible for this process, and the process is alive.
    pub(super) fn includes(&mut self, process: &Process) -> bool {
        let is_own = self.own_pid == 1 || self.relation_of(process) != Relation::Unrelated;
        is_own && process.pid != self.own_pid && !process.is_zombie()
    }

    /// How a process is related to rinit.
    pub(super) fn relation_of(&mut self, process: &Process) -> Relation {
        let mut parent = process.parent;
        // If the parent has just ended, the process has a new parent: its reaper.
        for _ in 0..RETRIES {
            if let Some(relation) = self.follow(parent) {
                if let Some(entry) = self.remembered.get_mut(slot(parent)) {
                    *entry = (parent, relation);
                }
                return relation;
            }
            match procfs::process(process.pid) {
                Some(process) => parent = process.parent,
                None => break,
            }
        }
        Relation::Unrelated
    }

    /// How the children of `parent` are related to rinit: follows the chain of parents up to an
    /// ancestor whose relation is known. `None` if one in the chain has just ended.
    fn follow(&self, parent: pid_t) -> Option<Relation> {
        let mut is_dependent = false;
        let mut ancestor = parent;
        for _ in 0..DEPTH {
            // The chain ends at PID 1, or at 0: that is the parent of a process that joined the
            // namespace from outside.
            let known = match ancestor {
                pid if pid == self.own_pid => Some(Relation::Own),
                ..=1 if self.own_pid == 1 => Some(Relation::Own),
                ..=1 => Some(Relation::Unrelated),
                pid => self.remembered.get(slot(pid)).filter(|(known, _)| *known == pid).map(|(_, relation)| *relation),
            };
            match known {
                Some(Relation::Own) if is_dependent => return Some(Relation::Dependent),
                Some(relation) => return Some(relation),
                None => {}
            }
            let process = procfs::process(ancestor)?;
            is_dependent |= (self.is_marked)(&process);
            ancestor = process.parent;
        }
        Some(Relation::Unrelated)
    }
}

/// The index at which `Descent` remembers how the children of a process are related to rinit.
fn slot(pid: pid_t) -> usize {
    usize::try_from(pid).unwrap_or(0) % REMEMBERED
}
