//! Reading a directory and a small file: getdents64(2), read(2).
//!
//! Not by std, whose ways PID 1 cannot afford: it repeats a call for as long as that answers EINTR, and panics where
//! a directory cannot be closed.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::check;

/// How often a call that was interrupted is made again. With every signal blocked hardly anything interrupts one.
const ATTEMPTS: usize = 8;

/// Hands out the names in a directory, `.` and `..` included.
///
/// # Errors
/// What open(2) and getdents64(2) say.
pub fn names_in(directory: &str, mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
    let directory = open(directory, OFlag::O_DIRECTORY)?;
    let mut entries = [0; 4096];
    loop {
        let length = persistently(|| {
            // SAFETY: an open descriptor, and a buffer of that length, which lives through the call.
            check(unsafe {
                libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), entries.as_mut_ptr(), entries.len())
            })
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

/// The first entry's name, and the bytes of those after it: struct linux_dirent64, getdents64(2).
fn first_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u16::from_ne_bytes(entries.get(16..18)?.try_into().ok()?);
    let (entry, next) = entries.split_at_checked(usize::from(length))?;
    let name = entry.get(19..)?.split(|byte| *byte == 0).next()?;
    Some((name, next))
}

/// What one read(2) gives of a file: all of a small one in /proc.
///
/// # Errors
/// What open(2) and read(2) say.
pub fn read<'a>(path: &str, room: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = open(path, OFlag::empty())?;
    let length = persistently(|| nix::unistd::read(&file, room))?;
    Ok(room.get(..length).unwrap_or_default())
}

fn open(path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    persistently(|| nix::fcntl::open(path, flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))
}

/// Makes a call again that was interrupted, but not without end.
fn persistently<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
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

    #[test]
    fn every_name_in_a_directory_is_handed_out() {
        let folder = std::env::temp_dir().join(format!("rinit-names-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let mut expected: Vec<Vec<u8>> = vec![b".".into(), b"..".into()];
        // More than one call gives.
        for number in 0..500 {
            let name = format!("{number}{}", "x".repeat(number % 100));
            std::fs::write(folder.join(&name), "").unwrap();
            expected.push(name.into_bytes());
        }
        let mut names = Vec::new();
        names_in(folder.to_str().unwrap(), |name| names.push(name.to_vec())).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!(names_in(folder.to_str().unwrap(), |_| ()), Err(Errno::ENOENT));
    }

    #[test]
    fn what_is_interrupted_is_tried_again_but_not_for_ever() {
        let mut calls = 0;
        let mut interrupted = |times: usize| {
            calls = 0;
            persistently(|| {
                calls += 1;
                if calls <= times { Err(Errno::EINTR) } else { Ok(calls) }
            })
        };
        assert_eq!(interrupted(3), Ok(4));
        assert_eq!(interrupted(usize::MAX), Err(Errno::EINTR));
    }
}
