//! The environment as execve(2) laid it out: see environ(7). std is not used, since it locks and
//! copies.

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use super::remove_first;

unsafe extern "C" {
    /// Pointers to `NAME=value`, with a null pointer at the end.
    static mut environ: *const Cell<*const c_char>;
}

/// The pointers, with the null pointer at the end. Empty if `environ` is null.
fn list() -> &'static [Cell<*const c_char>] {
    // SAFETY: rinit has one thread, and nothing in it moves the list. environ is null, or the list
    // ends with a null pointer: see environ(7).
    unsafe {
        if environ.is_null() {
            return &[];
        }
        let mut count = 0;
        while !(*environ.add(count)).get().is_null() {
            count += 1;
        }
        std::slice::from_raw_parts(environ, count + 1)
    }
}

/// The pointers as execve(2) takes them: with a null pointer at the end, or null if `environ` is.
pub(super) fn pointers() -> *const *const c_char {
    let list = list();
    if list.is_empty() { std::ptr::null() } else { list.as_ptr().cast() }
}

/// The entries that begin with `prefix`, which has no NUL: the index of each, and what follows the
/// prefix. Other entries are not read to their end: the environment can be long, and rinit looks
/// for a dozen names.
pub(crate) fn entries_with(prefix: &str) -> impl Iterator<Item = (usize, &'static CStr)> {
    let entries = list().iter().map(Cell::get).take_while(|entry| !entry.is_null());
    entries.enumerate().filter_map(move |(place, entry)| {
        // SAFETY: the entry is a C string that lives as long as the process: see environ(7) and
        // `replace`. No byte after its NUL is read, since the NUL differs from every byte of the
        // prefix.
        unsafe {
            let begins = prefix.bytes().enumerate().all(|(index, byte)| *entry.add(index) as u8 == byte);
            begins.then(|| (place, CStr::from_ptr(entry.add(prefix.len()))))
        }
    })
}

/// The value of a variable.
pub(crate) fn variable(name: &str) -> Option<&'static OsStr> {
    entries_with(name).find_map(|(_, rest)| rest.to_bytes().strip_prefix(b"=")).map(OsStr::from_bytes)
}

/// Replaces the entry at this index.
pub(crate) fn replace(place: usize, entry: &'static CStr) {
    if let Some(pointer) = list().get(place) {
        pointer.set(entry.as_ptr());
    }
}

/// Removes the entry at this index and moves the entries after it up.
pub(crate) fn remove(place: usize) {
    remove_first(list().get(place..).unwrap_or_default());
}
