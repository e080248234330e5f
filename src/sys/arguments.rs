//! A command line as execve(2) laid it out. Nothing is copied: the command gets the same words that
//! rinit got.

use std::cell::Cell;
use std::ffi::{CStr, c_char};

use super::remove_first;

/// Words of a command line: the part of argv from one word to the end, with the null pointer that
/// ends it.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// All of argv, including its null pointer.
    argv: &'static [Cell<*const c_char>],
    /// The index of the first word.
    start: usize,
}

impl Arguments {
    /// All words of argv.
    ///
    /// # Safety
    /// `argv` points to `count` C strings and a null pointer. They live as long as the process, and
    /// nothing else changes them.
    pub unsafe fn new(count: usize, argv: *mut *const c_char) -> Self {
        // SAFETY: the caller guarantees the memory. A cell has the layout of what it holds.
        Self { argv: unsafe { std::slice::from_raw_parts(argv.cast(), count + 1) }, start: 0 }
    }

    /// The words without the first `count` ones.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self { start: self.end().min(self.start + count), ..self }
    }

    /// The last `count` words.
    pub(crate) fn last(self, count: usize) -> Self {
        Self { start: self.start.max(self.end().saturating_sub(count)), ..self }
    }

    /// The number of words.
    pub(crate) fn count(self) -> usize {
        self.end() - self.start
    }

    /// The first word.
    pub(crate) fn first(self) -> Option<&'static CStr> {
        self.iter().next()
    }

    /// Iterates over the words.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static CStr> {
        let words = self.argv.get(self.start..self.end()).unwrap_or_default();
        // SAFETY: each word is a C string that lives as long as the process: see `new`.
        words.iter().map(|word| unsafe { CStr::from_ptr(word.get()) })
    }

    /// The words as execve(2) takes them: pointers, with a null pointer at the end.
    pub(super) fn pointers(self) -> *const *const c_char {
        self.argv.get(self.start..).unwrap_or(self.argv).as_ptr().cast()
    }

    /// Removes the word at this index and moves the words after it up.
    pub(crate) fn remove(self, place: usize) -> Self {
        let Some(rest) = self.argv.get(self.start + place..) else { return self };
        remove_first(rest);
        Self { argv: self.argv.get(..self.end()).unwrap_or(self.argv), ..self }
    }

    /// Replaces the first word.
    pub(crate) fn set_first(self, word: &'static CStr) {
        if let Some(first) = self.argv.get(self.start) {
            first.set(word.as_ptr());
        }
    }

    /// The words that make `shell` run `script`: `script` replaces the first word, and `shell` the
    /// word before it. The caller has to restore the first word, by `set_first`, while `script`
    /// still lives. `None` if there is no word to replace.
    pub(super) fn for_shell(self, shell: &'static CStr, script: &CStr) -> Option<Self> {
        self.first()?;
        let start = self.start.checked_sub(1)?;
        self.argv.get(start)?.set(shell.as_ptr());
        self.argv.get(self.start)?.set(script.as_ptr());
        Some(Self { start, ..self })
    }

    /// The index of the null pointer.
    fn end(self) -> usize {
        self.argv.len().saturating_sub(1)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::ffi::CString;

    /// A command line for a test. It lives as long as the process.
    pub(crate) fn arguments(words: &[&str]) -> Arguments {
        let strings = words.iter().map(|word| CString::new(*word).unwrap().into_raw().cast_const());
        let argv: &mut [*const c_char] = strings.chain([std::ptr::null()]).collect::<Vec<_>>().leak();
        // SAFETY: C strings and a null pointer, all leaked.
        unsafe { Arguments::new(words.len(), argv.as_mut_ptr()) }
    }

    fn words(arguments: Arguments) -> Vec<&'static str> {
        arguments.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn words_are_taken_from_either_end() {
        let all = arguments(&["rinit", "--", "ls", "-l"]);
        assert_eq!(words(all.skip(2)), ["ls", "-l"]);
        assert_eq!(words(all.last(1)), ["-l"]);
        assert_eq!((all.skip(9).count(), all.skip(9).first()), (0, None));
        assert_eq!(words(all.last(9)), words(all));
    }

    #[test]
    fn a_removed_word_is_gone_and_the_rest_stays() {
        let all = arguments(&["rinit", "ls", "--", "-l"]).skip(1);
        let rest = all.remove(1);
        assert_eq!(words(rest), ["ls", "-l"]);
        assert!(rest.argv.last().unwrap().get().is_null());
    }

    #[test]
    fn a_script_becomes_an_argument_of_the_shell() {
        let command = arguments(&["rinit", "run", "-l"]).skip(1);
        assert_eq!(words(command.for_shell(c"/bin/sh", c"/a/run").unwrap()), ["/bin/sh", "/a/run", "-l"]);
        command.set_first(c"run");
        assert_eq!(words(command), ["run", "-l"]);
        assert!(arguments(&["run"]).for_shell(c"/bin/sh", c"run").is_none());
    }
}
