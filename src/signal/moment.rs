//! Moments that can be compared with the start times of processes.

use std::time::Duration;

use libc::pid_t;
use nix::time::{ClockId, clock_gettime};

use crate::procfs::{self, Process};

/// Clock ticks per second, the unit of start times in /proc: USER_HZ, which is 100 on every
/// architecture that rinit runs on, see time(7).
pub(crate) const TICKS: u64 = 100;

/// Pids that are given out in one tick differ by less than this, unless the kernel has started again
/// after the largest one, which by default is 32768 or more: pid_max in proc(5).
const PIDS_IN_A_TICK: pid_t = 1 << 14;

/// A moment that can be compared with the start times in /proc. These count clock ticks of 10 ms.
/// For processes of the same tick, the newest pid at that moment tells which of them came before
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    ticks: u64,
    last_pid: Option<pid_t>,
}

impl Moment {
    /// The current moment.
    pub(crate) fn now() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        let ticks = since_boot.as_millis() / u128::from(1000 / TICKS);
        Self { ticks: u64::try_from(ticks).unwrap_or(u64::MAX), last_pid: procfs::last_pid() }
    }

    /// Whether the process had been started by then. The kernel gives out pids in ascending order,
    /// and starts again after the largest one.
    pub(super) fn is_after_start_of(self, process: &Process) -> bool {
        let is_first = |last_pid: pid_t| match last_pid - process.pid {
            difference @ 0.. => difference < PIDS_IN_A_TICK,
            difference => difference <= -PIDS_IN_A_TICK,
        };
        process.start < self.ticks || (process.start == self.ticks && self.last_pid.is_none_or(is_first))
    }

    /// The clock ticks between this start time and the moment.
    pub(crate) fn ticks_since(self, start: u64) -> u64 {
        self.ticks.saturating_sub(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::process as listed;
    use crate::sys::process;

    #[test]
    fn a_moment_has_those_who_were_started_before_it_and_by_pid_those_of_its_tick() {
        // The process of these tests was started in tick 100.
        let has = |ticks, last_pid, pid| Moment { ticks, last_pid }.is_after_start_of(&listed(pid, 1, b'S', "a"));
        assert!(has(101, Some(1), 7) && !has(99, Some(8), 7) && !has(99, None, 7));
        assert!(has(100, Some(8), 7) && has(100, Some(7), 7) && !has(100, Some(6), 7) && has(100, None, 7));
        // Pids start again after the largest one, which differs between machines.
        for largest in [32768, 1 << 22] {
            assert!(has(100, Some(307), largest - 7) && !has(100, Some(largest - 7), 307), "{largest}");
        }
    }

    #[test]
    fn this_moment_has_this_process_which_is_young() {
        let own = procfs::process(process::own_pid()).unwrap();
        let now = Moment::now();
        assert!(now.is_after_start_of(&own) && now.ticks_since(own.start) < 3600 * TICKS);
    }

    #[test]
    fn the_ticks_since_a_start_in_the_future_are_none() {
        let moment = Moment { ticks: 100, last_pid: None };
        assert_eq!((moment.ticks_since(40), moment.ticks_since(101)), (60, 0));
    }
}
