//! A command line as execve(2) laid it out. Nothing is copied: the command gets the very words that rinit got.

use std::ffi::{CStr, c_char};

/// Words of a command line: a part of argv that reaches to its end, so a null pointer follows the last word.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    argv: *mut *const c_char,
    /// The first word's place in argv.
    start: usize,
    /// One more than the last word's.
    end: usize,
}

impl Arguments {
    /// All words of argv.
    ///
    /// # Safety
    /// `argv` points to `count` C strings and a null pointer. They live as long as the process, and nothing else changes
    /// them.
    pub const unsafe fn new(count: usize, argv: *mut *const c_char) -> Self {
        Self { argv, start: 0, end: count }
    }

    /// The words from this one on.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self { start: self.end.min(self.start + count), ..self }
    }

    /// The last words, this many of them.
    pub(crate) fn last(self, count: usize) -> Self {
        Self { start: self.start.max(self.end.saturating_sub(count)), ..self }
    }

    /// How many words there are.
    pub(crate) fn count(self) -> usize {
        self.end - self.start
    }

    /// The first word.
    pub(crate) fn first(self) -> Option<&'static CStr> {
        self.iter().next()
    }

    /// Each word.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static CStr> {
        (self.start..self.end).map(move |place| {
            // SAFETY: below the count, so a C string that lives as long as the process: see `new`.
            unsafe { CStr::from_ptr(*self.argv.add(place)) }
        })
    }

    /// The words as execve(2) takes them: pointers, ended by a null one.
    pub(crate) fn pointers(self) -> *const *const c_char {
        self.argv.wrapping_add(self.start)
    }

    /// Removes the word at this place and moves the ones after it up.
    pub(crate) fn remove(self, place: usize) -> Self {
        for place in self.start + place..self.end {
            // SAFETY: below the count, and the null pointer follows the last word: see `new`.
            unsafe { *self.argv.add(place) = *self.argv.add(place + 1) };
        }
        Self { end: self.start.max(self.end - 1), ..self }
    }

    /// The words that have `shell` run `script` in place of the first word. They overwrite the word before the first one.
    /// `None` if there is none.
    pub(crate) fn run_by_shell(self, shell: &CStr, script: &CStr) -> Option<Self> {
        let start = self.start.checked_sub(1)?;
        if self.count() == 0 {
            return None;
        }
        // SAFETY: both places are below the count: see `new`. execve(2) reads the pointers before either string can go.
        unsafe {
            *self.argv.add(start) = shell.as_ptr();
            *self.argv.add(self.start) = script.as_ptr();
        }
        Some(Self { start, ..self })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::ffi::CString;

    /// The command line of a test, which stays for the life of the process.
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
        // SAFETY: the list ends with a null pointer.
        assert!(unsafe { *rest.pointers().add(2) }.is_null());
    }

    #[test]
    fn a_script_becomes_an_argument_of_the_shell() {
        let command = arguments(&["rinit", "run", "-l"]).skip(1);
        assert_eq!(words(command.run_by_shell(c"/bin/sh", c"/a/run").unwrap()), ["/bin/sh", "/a/run", "-l"]);
        assert!(arguments(&["run"]).run_by_shell(c"/bin/sh", c"run").is_none());
    }
}
