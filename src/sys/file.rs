//! Reading a directory and a small file: getdents64(2), read(2).
//!
//! std is not used: it allocates, repeats a call without limit while that returns EINTR, and panics
//! if a directory cannot be closed.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::check;

/// How often a call is tried if it is interrupted. That is rare, since every signal is blocked.
const ATTEMPTS: usize = 8;

/// Calls `each` with every name in a directory, `.` and `..` included.
///
/// # Errors
/// The errors of open(2) and getdents64(2).
pub(crate) fn names_in(directory: &CStr, mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
    let directory = open(directory, OFlag::O_DIRECTORY)?;
    let mut entries = [0_u8; 4096];
    loop {
        let length = retry_eintr(|| {
            let (descriptor, size) = (directory.as_raw_fd(), entries.len());
            // SAFETY: the descriptor is open, and the buffer has this size and lives during the
            // call.
            check(unsafe { libc::syscall(libc::SYS_getdents64, descriptor, entries.as_mut_ptr(), size) })
        })?;
        let mut rest = usize::try_from(length).ok().and_then(|length| entries.get(..length)).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while let Some((name, next)) = first_entry(rest) {
            each(name);
            rest = next;
        }
    }
}

/// The first entry's name, and the bytes after that entry: see struct linux_dirent64 in
/// getdents64(2).
fn first_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u16::from_ne_bytes(entries.get(16..18)?.try_into().ok()?);
    let (entry, next) = entries.split_at_checked(usize::from(length))?;
    let name = entry.get(19..)?.split(|byte| *byte == 0).next()?;
    Some((name, next))
}

/// Reads a file with one read(2), which returns all of a small file in /proc.
///
/// # Errors
/// The errors of open(2) and read(2).
pub(crate) fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = open(path, OFlag::empty())?;
    let length = retry_eintr(|| nix::unistd::read(&file, buffer))?;
    Ok(buffer.get(..length).unwrap_or_default())
}

fn open(path: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    retry_eintr(|| nix::fcntl::open(path, flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))
}

/// Makes a call again if it was interrupted, but not without limit.
fn retry_eintr<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..ATTEMPTS {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
    call()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn every_name_in_a_directory_is_listed() {
        let directory = std::env::temp_dir().join(format!("rinit-names-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let mut expected: Vec<Vec<u8>> = vec![b".".into(), b"..".into()];
        // So many entries take more than one call.
        for number in 0..500 {
            let name = format!("{number}{}", "x".repeat(number % 100));
            std::fs::write(directory.join(&name), "").unwrap();
            expected.push(name.into_bytes());
        }
        let path = CString::new(directory.to_str().unwrap()).unwrap();
        let mut names = Vec::new();
        names_in(&path, |name| names.push(name.to_vec())).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!(names_in(&path, |_| ()), Err(Errno::ENOENT));
    }

    #[test]
    fn an_interrupted_call_is_tried_again_but_not_without_end() {
        let mut calls = 0;
        let mut interrupted = |times: usize| {
            calls = 0;
            retry_eintr(|| {
                calls += 1;
                if calls <= times { Err(Errno::EINTR) } else { Ok(calls) }
            })
        };
        assert_eq!(interrupted(3), Ok(4));
        assert_eq!(interrupted(usize::MAX), Err(Errno::EINTR));
    }
}
