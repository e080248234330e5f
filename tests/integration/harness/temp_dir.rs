//! A directory of a test's own.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory that goes away with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let template = std::env::temp_dir().join("rinit-test-XXXXXX");
        let template = CString::new(template.as_os_str().as_bytes()).unwrap().into_raw();
        // SAFETY: mkdtemp(3) changes the last six characters of a string that this function owns.
        let path = unsafe {
            assert!(!libc::mkdtemp(template).is_null(), "{}", std::io::Error::last_os_error());
            PathBuf::from(std::ffi::OsString::from_vec(CString::from_raw(template).into_bytes()))
        };
        // For tests that change user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The name of a file in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    /// A copy of a file in it; answers its name. (For users who cannot get to where the file is, and other roots.)
    pub fn copy(&self, path: impl AsRef<Path>, name: &str) -> String {
        let copy = self.file(name);
        fs::copy(path, &copy).unwrap();
        copy
    }

    /// A new file in it; answers its name.
    pub fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
