//! Processes that make an init's work hard: without a leader, without end, in large numbers.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::exit;
use std::ptr::null_mut;
use std::thread;
use std::time::{Duration, Instant};

use libc::{c_int, pid_t};

use crate::signals::{hold, next_signal};
use crate::{LIFETIME, fork, perform, set_mask};

/// Does a duty in a second thread, while the first one, the leader, has ended: pthread_exit in main.
pub fn leaderless(words: &[&'static CStr]) -> ! {
    let words = words.to_vec();
    // Before the leader ends, so that the thread's signals are blocked when it says that it is ready.
    set_mask(u64::MAX);
    thread::spawn(move || exit(perform(&words)));
    // SAFETY: ends this thread alone, at once; what the other one uses is its own.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

/// A supervisor with one worker, which it replaces on SIGHUP, at once. The old worker's end is SIGHUP's, the new one
/// ignores nothing. On SIGUSR1 it writes whether the new one lives, `kept` or `hit`, and kills it. SIGTERM ends it.
pub fn respawn(file: &str) -> ! {
    set_mask(u64::MAX);
    let mut log = OpenOptions::new().create(true).append(true).open(file).unwrap();
    log.write_all(format!("ready {}\n", std::process::id()).as_bytes()).unwrap();
    let mut worker: Option<pid_t> = None;
    while let Some(arrived) = next_signal() {
        match arrived.si_signo {
            libc::SIGHUP => {
                let pid = fork();
                if pid == 0 {
                    // All but SIGHUP stays blocked: only that one is looked for.
                    set_mask(!1);
                    hold();
                }
                worker = Some(pid);
            }
            libc::SIGUSR1 => {
                let Some(pid) = worker.take() else { continue };
                // SAFETY: a child of this process; the statuses are live ints.
                let hit = unsafe {
                    let mut status = 0;
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, &mut status, 0);
                    libc::WTERMSIG(status) != libc::SIGKILL
                };
                log.write_all(if hit { b"hit\n" } else { b"kept\n" }).unwrap();
            }
            libc::SIGTERM => break,
            _ => {}
        }
    }
    exit(0)
}

/// A process that goes on in a child of its own, and ends, over and over: nobody who looks for it finds it twice.
/// SIGTERM ends it.
pub fn fork_chain(file: &str) -> ! {
    set_mask(0);
    fs::write(file, "ready\n").unwrap();
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    while Instant::now() < end {
        if fork() != 0 {
            // SAFETY: ends at once, without this program's own clean-up.
            unsafe { libc::_exit(0) }
        }
        thread::yield_now();
    }
    exit(99)
}

/// A process that has a new child all the time, each of which has one of its own that outlives it. SIGTERM ends it.
pub fn fork_all_the_time(file: &str) -> ! {
    set_mask(0);
    fs::write(file, "ready\n").unwrap();
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    while Instant::now() < end {
        orphan();
    }
    exit(99)
}

/// Has that many children, which take no signal but SIGKILL and SIGUSR2, and says so in FILE. SIGUSR2 ends all.
pub fn idle(count: c_int, file: &str) -> ! {
    set_mask(!(1 << (libc::SIGUSR2 - 1)));
    for _ in 0..count {
        if fork() == 0 {
            hold();
        }
    }
    fs::write(file, "ready\n").unwrap();
    hold()
}

/// Uses memory without end.
pub fn hoard_memory() -> ! {
    loop {
        let size = 1 << 20;
        // SAFETY: a new mapping, of which each page is written to once.
        unsafe {
            let at = libc::mmap(
                null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if at != libc::MAP_FAILED {
                at.cast::<u8>().write_bytes(1, size);
            }
        }
    }
}

/// Attaches to a process as a tracer, interrupts it and leaves, that many times or as long as the process lives: ptrace(2).
pub fn interrupt(pid: pid_t, times: Option<c_int>) {
    let null = null_mut::<libc::c_void>();
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    for round in 0.. {
        if times == Some(round) || Instant::now() > end {
            return;
        }
        let mut status = 0;
        // SAFETY: these requests take numbers alone; the status is a live int.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, pid, null, null) == 0
                && libc::ptrace(libc::PTRACE_INTERRUPT, pid, null, null) == 0
                && libc::waitpid(pid, &mut status, libc::__WALL) == pid
                && libc::WIFSTOPPED(status)
                && libc::ptrace(libc::PTRACE_DETACH, pid, null, null) == 0
        };
        if !done {
            assert_eq!(times, None, "{}", std::io::Error::last_os_error());
            return;
        }
    }
}

/// Leaves that many orphans behind, which end at once, and ends when the last has been made.
pub fn orphans(count: c_int) {
    for _ in 0..count {
        orphan();
    }
}

/// Makes orphans until it is killed, and keeps their number so far in FILE.
pub fn storm(file: &str) -> ! {
    let end = Instant::now() + Duration::from_secs(LIFETIME);
    for round in 1_u32.. {
        orphan();
        if round % 50 == 0 {
            // Written at once: readers never see half of it.
            File::create(format!("{file}.new")).unwrap().write_all(round.to_string().as_bytes()).unwrap();
            fs::rename(format!("{file}.new"), file).unwrap();
        }
        if Instant::now() > end {
            break;
        }
    }
    exit(99)
}

/// A grandchild that ends when its parent has gone, so that it is an orphan first and a zombie then.
pub fn orphan() {
    match fork() {
        0 => {
            let parent = std::process::id();
            if fork() == 0 {
                // SAFETY: takes and changes nothing.
                while unsafe { libc::getppid() } as u32 == parent {
                    thread::yield_now();
                }
            }
            // SAFETY: ends at once, without this program's own clean-up.
            unsafe { libc::_exit(0) }
        }
        child => {
            // SAFETY: waits for a child of this process.
            unsafe { libc::waitpid(child, null_mut(), 0) };
        }
    }
}

/// A bad parent: leaves zombies that it does not wait for, and says so in FILE.
pub fn hoard(count: c_int, file: &str) -> ! {
    for _ in 0..count {
        if fork() == 0 {
            // SAFETY: ends at once, without this program's own clean-up.
            unsafe { libc::_exit(0) }
        }
    }
    fs::write(file, "ready\n").unwrap();
    hold()
}

/// A bad parent, one zombie of which has this name, in any bytes, as the parent has.
pub fn hoard_named(name: &CStr, file: &str) -> ! {
    // SAFETY: a C string, of which the kernel takes the first 15 bytes. The child inherits it.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }, 0);
    hoard(1, file)
}
