//! A value that cannot be printed, serialised or kept in an error.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::syntax::Choice;

/// A secret value: bytes that are wiped when dropped.
///
/// It has no `Display`, `Serialize` or `Clone`, and a fixed `Debug`. [`Secret::expose`] and [`Secret::expose_as`] are
/// the only ways to its bytes.
pub struct Secret(Zeroizing<Vec<u8>>);

/// What to do with one trailing newline of a value that becomes a variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename_all = "kebab-case"))]
pub enum Newline {
    /// Strip it: `echo` and editors add one, and no password ends in one.
    #[default]
    StripOne,
    /// It is part of the value.
    Keep,
}

impl Choice for Newline {
    const WORDS: &'static [(&'static str, Self)] = &[("strip-one", Self::StripOne), ("keep", Self::Keep)];
}

impl Secret {
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// An explicit copy. There is no `Clone`, so that no copy is made by accident.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::new(self.0.to_vec())
    }

    /// The bytes. A value could leak wherever this is called, so keep the calls few.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, without one trailing LF or CRLF if it is to be stripped.
    #[must_use]
    pub fn expose_as(&self, newline: Newline) -> &[u8] {
        match (newline, self.line_end()) {
            (Newline::StripOne, Some(end)) => self.0.strip_suffix(end.as_bytes()).unwrap_or(&self.0),
            _ => &self.0,
        }
    }

    /// Whether it begins with the byte order mark of UTF-16, as files written by PowerShell's `>` do, and contains the NULs
    /// of its ASCII characters.
    #[must_use]
    pub fn is_utf16(&self) -> bool {
        let has_mark = self.0.starts_with(b"\xff\xfe") || self.0.starts_with(b"\xfe\xff");
        has_mark && self.0.contains(&0)
    }

    /// The trailing newline, if the value has one.
    #[must_use]
    pub fn line_end(&self) -> Option<&'static str> {
        match self.0.as_slice() {
            [.., b'\r', b'\n'] => Some("\r\n"),
            [.., b'\n'] => Some("\n"),
            _ => None,
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(bytes: &[u8]) -> Vec<u8> {
        Secret::new(bytes.to_vec()).expose_as(Newline::StripOne).to_vec()
    }

    #[test]
    fn a08_a09_a10_exactly_one_trailing_newline_is_stripped() {
        assert_eq!(stripped(b"a\n"), b"a");
        assert_eq!(stripped(b"a\n\n"), b"a\n");
        assert_eq!(stripped(b"a\r\n"), b"a");
        assert_eq!(stripped(b"a\r"), b"a\r");
        assert_eq!(stripped(b"\na"), b"\na");
        assert_eq!(Secret::new(b"a\n".to_vec()).expose_as(Newline::Keep), b"a\n");
    }

    #[test]
    fn debug_shows_neither_the_value_nor_its_length() {
        let short = format!("{:?}", Secret::new(b"canary".to_vec()));
        let long = format!("{:?}", Secret::new(vec![b'x'; 1000]));
        assert_eq!(short, long);
        assert!(!short.contains("canary"));
    }

    #[test]
    fn equality_is_by_content() {
        assert_eq!(Secret::new(b"a".to_vec()), Secret::new(b"a".to_vec()));
        assert_ne!(Secret::new(b"a".to_vec()), Secret::new(b"ab".to_vec()));
    }
}
