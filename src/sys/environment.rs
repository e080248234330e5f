//! The environment as execve(2) laid it out, environ(7). Not by std, which locks and copies.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    /// Pointers to `NAME=value`, ended by a null one.
    static mut environ: *mut *const c_char;
}

/// The pointers, to be handed to execve(2).
pub(crate) fn pointers() -> *mut *const c_char {
    // SAFETY: rinit has one thread, and nothing in it replaces the list.
    unsafe { environ }
}

/// Each entry, `NAME=value`.
pub(crate) fn entries() -> impl Iterator<Item = &'static CStr> {
    let mut next = pointers();
    std::iter::from_fn(move || {
        // SAFETY: environ is null, or a list of C strings that a null pointer ends: environ(7).
        let entry = unsafe { next.as_ref() }.filter(|entry| !entry.is_null())?;
        next = next.wrapping_add(1);
        // SAFETY: as above, and the strings live as long as the process.
        Some(unsafe { CStr::from_ptr(*entry) })
    })
}

/// The value of a variable.
pub(crate) fn variable(name: &str) -> Option<&'static OsStr> {
    let value = |entry: &'static CStr| entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    entries().find_map(value).map(OsStr::from_bytes)
}

/// Replaces an entry by another one.
///
/// # Safety
/// `place` is that of an entry. `entry` lives as long as the environment is used.
pub(crate) unsafe fn replace(place: usize, entry: &CStr) {
    // SAFETY: the caller's promise.
    unsafe { *pointers().add(place) = entry.as_ptr() };
}

/// Removes an entry and moves the ones after it up.
///
/// # Safety
/// `place` is that of an entry.
pub(crate) unsafe fn remove(place: usize) {
    let mut at = pointers().wrapping_add(place);
    // SAFETY: from an entry up to the null pointer that ends the list.
    unsafe {
        while !(*at).is_null() {
            *at = *at.add(1);
            at = at.add(1);
        }
    }
}
