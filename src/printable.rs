//! Names from outside, made safe for a log line or a terminal: arguments, file names, process names.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Bytes shown as text on one line: control characters and what is not UTF-8 are escaped, so that a name can
/// neither forge a line nor drive the reader's terminal.
pub struct Printable<'a>(&'a [u8]);

impl<'a> Printable<'a> {
    /// Shows these bytes.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Shows an argument or a file name.
    pub fn os(text: &'a OsStr) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_control() || is_directional(letter) {
                    write!(out, "{}", letter.escape_default())?;
                } else {
                    write!(out, "{letter}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Line and paragraph separators, and the characters that turn the direction of writing.
fn is_directional(letter: char) -> bool {
    matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        Printable::bytes(bytes).to_string()
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(shown("sleep (größe)".as_bytes()), "sleep (größe)");
    }

    #[test]
    fn a_name_cannot_forge_a_line_or_drive_a_terminal() {
        assert_eq!(shown(b"a\nrinit[1]: b\t"), "a\\nrinit[1]: b\\t");
        assert_eq!(shown(b"\x1b[2Jx\x7f"), "\\u{1b}[2Jx\\u{7f}");
        assert_eq!(shown(b"\xff\xfeok"), "\\xff\\xfeok");
        assert_eq!(shown("\u{202e}".as_bytes()), "\\u{202e}");
    }
}
