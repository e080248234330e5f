//! The probe that records the signals it gets: what it has written, and which process it is.

use std::fs;

use libc::{c_int, pid_t};

use super::processes::status_line;
use super::wait::{Deadline, wait_until};

/// What a recording probe wrote after its first line.
pub fn recorded_signals(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with("ready")).map(str::to_owned).collect()
}

/// How often a recording probe wrote this line.
pub fn count_recorded(file: &str, line: &str) -> usize {
    recorded_signals(file).iter().filter(|got| *got == line).count()
}

/// A recording probe's pid, as this process sees it: the namespace's own is what it wrote.
pub fn pid_of(file: &str) -> pid_t {
    let text = fs::read_to_string(file).unwrap();
    let own = text.lines().rev().find_map(|line| line.strip_prefix("ready ")).unwrap();
    let is_probe = |pid: &pid_t| {
        let line = status_line(*pid, "NSpid").unwrap_or_default();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split_ascii_whitespace().next_back() == Some(own)
            && command.split(|byte| *byte == 0).any(|word| word == file.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.into_iter().find(is_probe).unwrap()
}

/// Waits until a recording probe takes signals.
pub fn wait_until_ready(file: &str) {
    wait_until("the probe to record", || fs::read_to_string(file).ok().filter(|text| text.contains("ready")).map(drop));
}

/// Waits until a recording probe has got just these.
pub fn wait_until_recorded(file: &str, expected: &[&str]) {
    let mut deadline = Deadline::new();
    while recorded_signals(file) != expected {
        let got = || recorded_signals(file);
        assert!(deadline.allows_another_look(), "waited in vain for {expected:?}, got {:?}", got());
    }
}

/// Every signal that is forwarded.
pub fn forwarded_signals() -> impl Iterator<Item = c_int> {
    (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(number))
}
