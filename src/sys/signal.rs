//! Signals 1 to 64, sets of them, and the calls that block, await and send them: signal(7).
//!
//! The kernel's calls are made directly. The C libraries keep signals 32 and 33 (and musl 34, which is
//! glibc's `SIGRTMIN`) out of their sets; a signal left out so kills the init instead of being forwarded.

use std::fmt;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libc::{c_int, c_long, pid_t, siginfo_t};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::{check, made};

/// The number of signals the kernel has, on every architecture rinit runs on.
const LAST: u8 = 64;
/// The first real-time signal that a program may use: glibc's and docker's meaning of `RTMIN`. The kernel's
/// own first is 32; the C libraries keep it and 33 for themselves.
const RTMIN: u8 = 34;

/// A signal, by its number: 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Names and numbers that Linux gives the standard signals on x86, ARM, RISC-V, POWER and s390.
const NAMES: [(&str, c_int); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    // Second names.
    ("IOT", libc::SIGABRT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGIO),
];

impl Signal {
    /// A request to end.
    pub const TERM: Self = Self(libc::SIGTERM as u8);
    /// The end that no process can refuse.
    pub const KILL: Self = Self(libc::SIGKILL as u8);
    /// The stop that no process can refuse.
    pub const STOP: Self = Self(libc::SIGSTOP as u8);
    /// The stop that Ctrl-Z sends.
    pub const TSTP: Self = Self(libc::SIGTSTP as u8);
    /// The stop of a background process that reads the terminal.
    pub const TTIN: Self = Self(libc::SIGTTIN as u8);
    /// The stop of a background process that writes to the terminal.
    pub const TTOU: Self = Self(libc::SIGTTOU as u8);
    /// Resumes a stopped process.
    pub const CONT: Self = Self(libc::SIGCONT as u8);
    /// The kernel's word that a child changed state.
    pub const CHLD: Self = Self(libc::SIGCHLD as u8);
    /// What a write to a pipe without a reader raises.
    pub const PIPE: Self = Self(libc::SIGPIPE as u8);
    /// What Ctrl-C sends.
    pub const INT: Self = Self(libc::SIGINT as u8);
    /// A file would grow past its limit.
    pub const XFSZ: Self = Self(libc::SIGXFSZ as u8);

    /// How many there are.
    pub const COUNT: usize = LAST as usize;

    /// The signal of that number, if there is one.
    pub fn from_number(number: c_int) -> Option<Self> {
        match u8::try_from(number) {
            Ok(number @ 1..=LAST) => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number.
    pub fn number(self) -> c_int {
        c_int::from(self.0)
    }

    /// Its place in a table of all signals.
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    /// The signal with that place.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::from_number(c_int::try_from(index).ok()? + 1)
    }

    /// Reads a signal as people write it: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-2`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Self::from_number(text.parse().ok()?);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN") {
            return Self::real_time(RTMIN, offset, '+');
        }
        if let Some(offset) = name.strip_prefix("RTMAX") {
            return Self::real_time(LAST, offset, '-');
        }
        let (_, number) = NAMES.iter().find(|(known, _)| *known == name)?;
        Self::from_number(*number)
    }

    /// `RTMIN` and `RTMAX` with what follows them: nothing, or the sign and a number.
    fn real_time(base: u8, offset: &str, sign: char) -> Option<Self> {
        if offset.is_empty() {
            return Some(Self(base));
        }
        let digits = offset.strip_prefix(sign)?;
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let distance: u8 = digits.parse().ok()?;
        let number = match sign {
            '+' => base.checked_add(distance)?,
            _ => base.checked_sub(distance)?,
        };
        (RTMIN..=LAST).contains(&number).then_some(Self(number))
    }

    /// Whether a process can receive it at all: SIGKILL and SIGSTOP act without its knowing.
    pub fn can_be_caught(self) -> bool {
        self != Self::KILL && self != Self::STOP
    }

    /// Whether its default action stops a process, and only the terminal's own rules send it.
    pub fn is_terminal_stop(self) -> bool {
        matches!(self, Self::TSTP | Self::TTIN | Self::TTOU)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.number()) {
            Some((name, _)) => write!(out, "SIG{name}"),
            None if self.0 == RTMIN => out.write_str("SIGRTMIN"),
            None if self.0 == LAST => out.write_str("SIGRTMAX"),
            None if self.0 > RTMIN => write!(out, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(out, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A set of signals as the kernel has it: bit n - 1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Every signal.
    pub const ALL: Self = Self(u64::MAX);
    /// No signal.
    pub const EMPTY: Self = Self(0);

    /// The set that a word of the kernel's means.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set with one more.
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << (signal.0 - 1))
    }

    /// The set with one fewer.
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << (signal.0 - 1)))
    }

    /// Whether it is in there.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & 1 << (signal.0 - 1) != 0
    }
}

/// Makes this set the blocked one and answers the one that was: sigprocmask(2).
pub fn set_mask(mask: SignalSet) -> SignalSet {
    let mut before = SignalSet::EMPTY;
    // SAFETY: both sets are the 8 bytes that the kernel is told they are. With a valid `how` and valid
    // addresses the call cannot fail, so its result says nothing.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask.0,
            &raw mut before.0,
            size_of::<u64>(),
        );
    }
    before
}

/// The signals sent to rinit that wait to be taken: sigpending(2).
pub fn pending() -> SignalSet {
    let mut set = SignalSet::EMPTY;
    // SAFETY: the set is the 8 bytes that the kernel is told it is; on failure it stays empty.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set.0, size_of::<u64>()) };
    set
}

/// What becomes of a signal: the two dispositions that survive an exec, signal(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The signal's default action.
    Default,
    /// It is thrown away.
    Ignore,
}

/// Sets a disposition and answers the one that was: sigaction(2).
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, and for the two signals that the C library keeps.
pub fn set_disposition(signal: Signal, disposition: Disposition) -> Result<Disposition, Errno> {
    // SAFETY: an all-zero sigaction is a valid one: default handler, no flags, empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structures are the C library's own and live through the call; no handler is set, so no
    // code of ours can run on a signal.
    let result = unsafe { libc::sigaction(signal.number(), &action, before.as_mut_ptr()) };
    check(c_long::from(result))?;
    // SAFETY: it was zeroed, and filled in by the call.
    match unsafe { before.assume_init() }.sa_sigaction {
        libc::SIG_IGN => Ok(Disposition::Ignore),
        _ => Ok(Disposition::Default),
    }
}

/// A signal that arrived, with what the kernel tells about it: sigaction(2), "The siginfo_t argument".
#[derive(Clone, Copy)]
pub struct Arrived {
    /// Which one.
    pub signal: Signal,
    info: siginfo_t,
}

impl Arrived {
    /// The process that sent it, where a process did; 0 when that is outside rinit's PID namespace.
    pub fn sender(&self) -> Option<pid_t> {
        match self.info.si_code {
            // SAFETY: for these two codes the kernel fills in the sender.
            libc::SI_USER | libc::SI_QUEUE => Some(unsafe { self.info.si_pid() }),
            // tgkill(2), which pthread_kill and raise use, fills it in as well.
            libc::SI_TKILL => {
                // SAFETY: for this code, too.
                Some(unsafe { self.info.si_pid() })
            }
            _ => None,
        }
    }

    /// Whether it was queued with a value: sigqueue(3).
    pub fn has_value(&self) -> bool {
        self.info.si_code == libc::SI_QUEUE
    }

    /// The value, as a number.
    pub fn value(&self) -> usize {
        // SAFETY: reading the value's union as a pointer-sized word is valid for whatever was stored there.
        unsafe { self.info.si_value() }.sival_ptr as usize
    }
}

/// Takes the next pending signal of the set, waiting for one until the timeout is over; without a timeout,
/// for as long as it takes: sigtimedwait(2).
///
/// # Errors
/// EAGAIN when the time is over; EINTR when a stop and a continue came in between.
pub fn wait(set: SignalSet, timeout: Option<Duration>) -> Result<Arrived, Errno> {
    let timeout = timeout.map(TimeSpec::from_duration);
    let limit: *const libc::timespec = timeout.as_ref().map_or(std::ptr::null(), |limit| limit.as_ref());
    let mut info = MaybeUninit::<siginfo_t>::zeroed();
    // SAFETY: the set is 8 bytes, `info` a siginfo_t, `limit` null or a live timespec, as rt_sigtimedwait asks.
    let number = check(unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set.0, info.as_mut_ptr(), limit, size_of::<u64>())
    })?;
    let signal = c_int::try_from(number).ok().and_then(Signal::from_number);
    // SAFETY: all-zero bytes are a valid siginfo_t, and the kernel has filled it in.
    let info = unsafe { info.assume_init() };
    signal.map(|signal| Arrived { signal, info }).ok_or(Errno::EINVAL)
}

/// A descriptor that is readable while one of these signals waits to be taken: signalfd(2).
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM; EPERM where a sandbox refuses it.
pub fn descriptor_of(set: SignalSet) -> Result<OwnedFd, Errno> {
    // SAFETY: the set is 8 bytes, as the call is told; -1 has it make a new descriptor.
    unsafe { made(libc::syscall(libc::SYS_signalfd4, -1, &raw const set.0, size_of::<u64>(), libc::SFD_CLOEXEC)) }
}

/// Sends a signal to a process (positive), its own group (0), all it may signal (-1) or a group (negative):
/// kill(2). Without a signal it only asks whether there is somebody to send to.
///
/// # Errors
/// ESRCH where there is nobody, EPERM where rinit may signal none of them.
pub fn send(target: pid_t, signal: Option<Signal>) -> Result<(), Errno> {
    // SAFETY: kill takes numbers only.
    let result = unsafe { libc::kill(target, signal.map_or(0, Signal::number)) };
    check(c_long::from(result)).map(drop)
}

/// Sends a queued signal on to one process, as `signal` and with its value: rt_sigqueueinfo(2). The sender it
/// names stays the original one.
///
/// # Errors
/// ESRCH, EPERM as for [`send`]; EAGAIN where the receiver's queue is full (RLIMIT_SIGPENDING).
pub fn send_on(target: pid_t, signal: Signal, arrived: &Arrived) -> Result<(), Errno> {
    let mut info = arrived.info;
    info.si_signo = signal.number();
    // SAFETY: `info` is a whole siginfo_t as the kernel handed it out.
    check(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, target, signal.number(), &raw const info) }).map(drop)
}

/// Whether a SIGTSTP came while [`note_stop`]'s handler was in place.
static STOP_NOTED: AtomicBool = AtomicBool::new(false);

/// Has a SIGTSTP noted instead of obeyed, until the next exec makes it the default again: execve(2). Where it is
/// ignored it stays so.
pub fn note_stop() {
    extern "C" fn note(_: c_int) {
        STOP_NOTED.store(true, Ordering::Relaxed);
    }
    // SAFETY: an all-zero sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: an all-zero sigaction is a valid one.
    let mut before: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = note as extern "C" fn(c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler only stores to an atomic, which is async-signal-safe: signal-safety(7). The structures
    // are the C library's own and live through the calls.
    unsafe {
        libc::sigaction(libc::SIGTSTP, &action, &raw mut before);
        if before.sa_sigaction == libc::SIG_IGN {
            libc::sigaction(libc::SIGTSTP, &before, std::ptr::null_mut());
        }
    }
}

/// Whether one was noted. The child that noted it shared rinit's memory.
pub fn stop_was_noted() -> bool {
    STOP_NOTED.swap(false, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_signal_is_read() {
        for text in ["TERM", "SIGTERM", "sigterm", "Term", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("RTMIN").map(Signal::number), Some(34));
        assert_eq!(Signal::parse("sigrtmin+3").map(Signal::number), Some(37));
        assert_eq!(Signal::parse("RTMAX-2").map(Signal::number), Some(62));
        assert_eq!(Signal::parse("RTMAX").map(Signal::number), Some(64));
        assert_eq!(Signal::parse("POLL"), Signal::parse("IO"));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "+15",
            "SIG",
            "SIGSIGTERM",
            "TERMS",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN++1",
            "15 ",
            " TERM",
            "15x",
            "99999999999999999999",
        ] {
            assert_eq!(Signal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_signal_is_named_in_a_way_that_is_read_back() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = SignalSet::EMPTY.with(Signal::TERM).with(Signal(64));
        assert!(set.contains(Signal::TERM) && set.contains(Signal(64)) && !set.contains(Signal(1)));
        assert_eq!(set.without(Signal(64)).without(Signal::TERM), SignalSet::EMPTY);
        assert!(SignalSet::ALL.contains(Signal(64)) && SignalSet::ALL.contains(Signal(1)));
    }
}
