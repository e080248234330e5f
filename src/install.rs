//! `--install`: the binary copies itself to where a container that knows nothing of rinit can start it.
//!
//! The image it runs in may hold nothing else, so nothing but the binary itself is needed, not even /proc.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Error;
use crate::printable::Printable;
use crate::sys::process;

/// Copies this very binary to `path`, or into it where it is a directory. The name is there whole or not at all,
/// with mode 0755: a temporary file beside it, then a rename.
///
/// # Errors
/// [`Error::Io`] with the file that could not be read or written. No half-written file stays.
pub fn install(path: &OsStr) -> Result<(), Error> {
    let path = Path::new(path);
    let target = if path.is_dir() { path.join("rinit") } else { path.to_owned() };
    let shown = |path: &Path| Printable::os(path.as_os_str()).to_string();
    let mut own = open_own_binary().map_err(|error| Error::Io("cannot read rinit's own binary".into(), error))?;
    let cannot = |error| Error::Io(format!("cannot install to '{}'", shown(&target)), error);
    if target.file_name().is_none() {
        return Err(cannot(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    let temporary = beside(&target);
    let result = write(&mut own, &temporary).and_then(|()| fs::rename(&temporary, &target));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(cannot)
}

/// A name in the same directory, so that the rename stays within one file system; one of its own, since several
/// containers may install to a volume that they share, each of them as process 1.
fn beside(target: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    target.with_file_name(format!(".rinit-{}-{}.tmp", process::own_pid(), now.as_nanos()))
}

fn write(own: &mut File, temporary: &Path) -> io::Result<()> {
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o755).open(temporary)?;
    io::copy(own, &mut copy)?;
    // The umask may have taken bits away.
    copy.set_permissions(Permissions::from_mode(0o755))?;
    copy.sync_all()
}

/// The running binary: by /proc, which is right even where the file was renamed; else by the name it was
/// started by, which the kernel left for it: getauxval(3), AT_EXECFN.
fn open_own_binary() -> io::Result<File> {
    File::open("/proc/self/exe").or_else(|error| {
        // SAFETY: no argument but a number.
        let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
        if name.is_null() {
            return Err(error);
        }
        // SAFETY: not null, so the C string that the kernel put on the stack, there for the process's life.
        let name = unsafe { CStr::from_ptr(name) };
        File::open(OsStr::from_bytes(name.to_bytes()))
    })
}
