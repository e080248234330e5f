//! `--install`: the binary copies itself to a place where another container, whose image has no
//! rinit, can start it.
//!
//! rinit's image may hold nothing but the binary, so the copy needs nothing else, not even /proc.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::Error;
use crate::logging::escape::Escaped;
use crate::signal::{self, SignalSet};
use crate::sys::{self, process};

/// How many temporary files of other processes are skipped.
const NUMBERS: u32 = 1000;

/// Copies the running binary to `path`, or into it if it is a directory. The copy appears under its
/// name as a whole or not at all, with mode 0755: it is written to a temporary file in the same
/// directory, and renamed.
///
/// # Errors
/// [`Error::Failed`] with the file that could not be read or written, [`Error::Usage`] if `path` is
/// neither a regular file nor a directory nor a new name. No half-written file stays, unless rinit
/// is killed by SIGKILL.
pub(crate) fn install(path: &OsStr) -> Result<(), Error> {
    let path = Path::new(path);
    let target = if path.is_dir() { path.join("rinit") } else { path.to_owned() };
    let shown = Escaped(target.as_os_str().as_bytes());
    let cannot = |error| failed(format!("cannot install to '{shown}'"), error);
    if target.file_name().is_none() {
        return Err(cannot(fs::metadata(&target).err().unwrap_or(io::Error::from_raw_os_error(libc::EISDIR))));
    }
    if let Some(kind) = foreign_kind(&target).map_err(cannot)? {
        let accepted = "give a new name, a regular file or a directory";
        return Err(Error::Usage(format!("cannot install to '{shown}': it is {kind}; {accepted}")));
    }
    let mut own = open_own_binary().map_err(|error| failed("cannot read rinit's own binary".into(), error))?;
    // From here on a signal that ends rinit also removes the temporary file.
    let mask = signal::set_mask(SignalSet::ALL);
    let created = create_beside(&target);
    if let Ok((temporary, _)) = &created
        && let Ok(temporary) = CString::new(temporary.as_os_str().as_bytes())
    {
        sys::signal::remove_on_exit(Box::leak(temporary.into_boxed_c_str()));
    }
    let _ = mask.and_then(signal::set_mask);
    let (temporary, copy) = created.map_err(cannot)?;
    let result = write(&mut own, copy).and_then(|()| fs::rename(&temporary, &target));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(cannot)
}

fn failed(what: String, error: io::Error) -> Error {
    // Only a write that takes no bytes fails without an errno.
    Error::Failed(what, Errno::try_from(error).unwrap_or(Errno::EIO))
}

/// The kind of the file at `target`, if it must not be replaced: anything but a regular file or a
/// link to one.
fn foreign_kind(target: &Path) -> io::Result<Option<&'static str>> {
    let own = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?.file_type(),
    };
    let Ok(file) = fs::metadata(target) else { return Ok(Some("a link to a file that is not there")) };
    let kind = file.file_type();
    Ok(match () {
        () if kind.is_file() => None,
        () if kind.is_dir() && own.is_symlink() => Some("a link to a directory"),
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    })
}

/// Creates a file in the same directory, so that the rename stays within one file system. Several
/// containers may install to a shared volume, each of them as process 1. So the name has a number
/// too, the first one that is free. (The time would not do in its place: on 32-bit machines reading
/// it fails from 2038 on.)
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let path = target.with_file_name(format!(".rinit-{}-{number}.tmp", process::own_pid()));
        match OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NUMBERS => number += 1,
            result => return result.map(|copy| (path, copy)),
        }
    }
}

/// Writes the copy and closes it: a program that is open for writing cannot be run, see ETXTBSY in
/// execve(2).
fn write(own: &mut File, mut copy: File) -> io::Result<()> {
    io::copy(own, &mut copy)?;
    // The umask may have removed bits of the mode.
    copy.set_permissions(Permissions::from_mode(0o755))?;
    copy.sync_all()
}

/// Opens the running binary through /proc, which finds it even if the file was renamed. Without
/// /proc, opens it by the name that it was started by, which the kernel keeps: see AT_EXECFN in
/// getauxval(3).
fn open_own_binary() -> io::Result<File> {
    File::open("/proc/self/exe").or_else(|error| {
        // SAFETY: the kernel's value is 0, or the address of a C string that lives as long as the
        // process.
        let name = unsafe {
            (libc::getauxval(libc::AT_EXECFN) as *const libc::c_char).as_ref().map(|name| CStr::from_ptr(name))
        };
        let Some(name) = name else { return Err(error) };
        File::open(OsStr::from_bytes(name.to_bytes()))
    })
}
