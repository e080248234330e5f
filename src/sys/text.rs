//! Text in a buffer of fixed size. After the command's start nothing allocates, so lines and file
//! names are built here.

use std::ffi::CStr;
use std::fmt;

/// Up to `N` bytes. What does not fit is left out.
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// Appends these bytes. Returns false if they do not all fit; the text is full then.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let length = bytes.len().min(room.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.length += length;
        length == bytes.len()
    }

    /// Shortens the text to this many bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// The text as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The text as a C string. `None` unless it ends with a NUL and has no other one.
    pub(crate) fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_with_nul(self.as_bytes()).ok()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    /// Fails if the text is full, so that nothing more is formatted.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.push(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn a_text_holds_as_much_as_fits() {
        let mut text = Text::<5>::new();
        assert!(write!(text, "{}", 123).is_ok() && write!(text, "456").is_err());
        assert_eq!(text.as_bytes(), b"12345");
        text.truncate(2);
        assert!(text.push(b"\0") && !text.push(b"abc"));
        assert_eq!(text.as_c_str(), None);
        text.truncate(3);
        assert_eq!(text.as_c_str(), Some(c"12"));
    }
}
