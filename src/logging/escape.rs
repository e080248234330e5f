//! Makes names that others have chosen safe for a log line or a terminal: arguments, file names,
//! process names.

use std::fmt;

/// How many bytes are shown. A longer text would leave no room for the rest of a message.
const SHOWN: usize = 512;

/// Bytes as text on one line, at most [`SHOWN`] of them. Control characters, invisible characters
/// and invalid UTF-8 are escaped, so that a name can neither forge a line nor control the reader's
/// terminal.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at_checked(SHOWN).unwrap_or((self.0, &[]));
        for chunk in shown.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_control() || is_invisible(letter) {
                    write!(out, "{}", letter.escape_default())?;
                } else {
                    write!(out, "{letter}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        out.write_str(if rest.is_empty() { "" } else { " [cut]" })
    }
}

/// Whether a character changes the direction of writing, separates lines, or has no width.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        Escaped(bytes).to_string()
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(shown("sleep (größe)".as_bytes()), "sleep (größe)");
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(shown(&[b'x'; SHOWN]), "x".repeat(SHOWN));
        assert_eq!(shown(&[b'x'; SHOWN + 1]), "x".repeat(SHOWN) + " [cut]");
    }

    #[test]
    fn a_name_cannot_forge_a_line_or_control_a_terminal() {
        assert_eq!(shown(b"a\nrinit[1]: b\t"), "a\\nrinit[1]: b\\t");
        assert_eq!(shown(b"\x1b[2Jx\x7f"), "\\u{1b}[2Jx\\u{7f}");
        assert_eq!(shown(b"\xff\xfeok"), "\\xff\\xfeok");
        for letter in ['\u{202e}', '\u{61c}', '\u{200b}', '\u{feff}', '\u{2028}'] {
            assert_eq!(shown(letter.to_string().as_bytes()), letter.escape_unicode().to_string());
        }
    }
}
