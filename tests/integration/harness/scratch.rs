//! Files that need no name: what a process writes, to be read while it runs.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// A file in memory, without a name. (Not a pipe: somebody would have to read it, and to know when to stop.)
pub fn scratch_file() -> File {
    // SAFETY: a new descriptor, which nobody else owns.
    let descriptor = unsafe {
        let descriptor = libc::memfd_create(c"captured".as_ptr(), libc::MFD_CLOEXEC);
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(descriptor)
    };
    File::from(descriptor)
}

/// All that is in it, without moving the place where the next write goes.
pub fn scratch_text(file: &File) -> String {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
