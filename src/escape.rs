//! External text in messages: escaped and truncated.

use std::fmt::Write as _;
use std::path::Path;

/// The longest external text in a message, in characters before escaping.
const LONGEST: usize = 200;

/// Escapes everything that could control a terminal, forge a log line or mislead a reader: control characters, bytes
/// that are not UTF-8, and characters that are invisible or change the writing direction.
#[must_use]
pub fn escaped(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    plain(text).map_or_else(|| rewritten(text), str::to_owned)
}

/// The fast path: almost every text is short printable ASCII.
fn plain(text: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if text.len() <= LONGEST && text.iter().all(is_plain) { std::str::from_utf8(text).ok() } else { None }
}

fn rewritten(text: &[u8]) -> String {
    let mut shown = String::new();
    let mut room = LONGEST;
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if room == 0 {
                return shown + "…";
            }
            push(&mut shown, character);
            room -= 1;
        }
        for byte in chunk.invalid() {
            if room == 0 {
                return shown + "…";
            }
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
            room -= 1;
        }
    }
    shown
}

#[must_use]
pub fn escaped_path(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

fn push(shown: &mut String, character: char) {
    if character.is_control() || is_invisible(character) {
        shown.extend(character.escape_unicode());
    } else {
        shown.push(character);
    }
}

/// Direction marks, joiners and other format characters that a reader does not see.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a33_escape_sequences_newlines_and_direction_marks_are_escaped() {
        assert_eq!(escaped("a\u{1b}[31mb\nc\u{202e}d"), "a\\u{1b}[31mb\\u{a}c\\u{202e}d");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown_as_numbers() {
        assert_eq!(escaped(b"a\xff\xfeb"), "a\\xff\\xfeb");
    }

    #[test]
    fn plain_ascii_stays_as_it_is() {
        for plain in ["", " ", "~", "/run/secrets/A", &"x".repeat(LONGEST)] {
            assert_eq!(escaped(plain), plain);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "x".repeat(10_000);
        let shown = escaped(&text);
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert!(shown.ends_with('…'));
    }
}
