//! The process environment: captured once in `main`, never changed, passed on byte for byte.

use std::ffi::{CStr, CString, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::escape::escaped;

/// The variables that cryokey reads, except the settings, which are in `setting`.
pub mod variable {
    pub const MANIFEST: &str = "CRYOKEY_MANIFEST";
    /// The environment whose secrets override the plain ones; read before `APP_ENV` and `FLASK_ENV`.
    pub const ENVIRONMENT: &str = "CRYOKEY_ENVIRONMENT";
    pub const APP_ENV: &str = "APP_ENV";
    pub const FLASK_ENV: &str = "FLASK_ENV";
    /// The color whose secrets override the environment's.
    pub const DEPLOYMENT_COLOR: &str = "DEPLOYMENT_COLOR";
    pub const LOG: &str = "CRYOKEY_LOG";
    pub const LOG_FORMAT: &str = "CRYOKEY_LOG_FORMAT";
    /// When the secrets were last rotated: a variable, or usually a secret file of this name.
    pub const SECRET_ROTATION_TIMESTAMP: &str = "SECRET_ROTATION_TIMESTAMP";
    pub const HOME: &str = "HOME";
    /// A user session's directory in memory, where files go if it will do.
    pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";

    /// All of them, to find misspelt variables.
    pub const ALL: &[&str] = &[
        MANIFEST,
        ENVIRONMENT,
        APP_ENV,
        FLASK_ENV,
        DEPLOYMENT_COLOR,
        LOG,
        LOG_FORMAT,
        SECRET_ROTATION_TIMESTAMP,
        HOME,
        XDG_RUNTIME_DIR,
    ];

    /// The app inherits no variable that begins with this.
    pub const OWN_PREFIX: &str = "CRYOKEY_";
}

/// The environment as the kernel passed it. It may contain secrets, so it is not copied, and `Debug` shows only names.
pub struct Environ {
    /// In the order in which the app inherits them.
    entries: Vec<Entry>,
    /// Sorted by name, because startup looks up a few hundred names; duplicates keep their order.
    by_name: Vec<Entry>,
}

/// One string of the environment, usually `NAME=value`.
#[derive(Clone, Copy)]
pub struct Entry {
    string: &'static CStr,
    /// The position of `=`; a string without one has a name and no value.
    equals: Option<usize>,
}

impl Environ {
    #[must_use]
    pub fn capture() -> Self {
        Self::of(init::environment().into_iter().map(Entry::new).collect())
    }

    /// For tests. The strings are leaked: those of a process live as long as the process.
    pub fn new(strings: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let leaked = |string: CString| -> &'static CStr { Box::leak(string.into_boxed_c_str()) };
        let strings = strings.into_iter().filter_map(|string| CString::new(string.into().into_vec()).ok());
        Self::of(strings.map(|string| Entry::new(leaked(string))).collect())
    }

    fn of(entries: Vec<Entry>) -> Self {
        // A string without `=` is not a variable: `getenv` passes over it too.
        let mut by_name: Vec<Entry> = entries.iter().copied().filter(|it| it.equals.is_some()).collect();
        // A stable sort keeps duplicates in their order.
        by_name.sort_by_key(Entry::name);
        Self { entries, by_name }
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The first value if the name occurs twice, as with `getenv`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let first = self.by_name.partition_point(|entry| entry.name() < name.as_bytes());
        self.by_name.get(first).filter(|entry| entry.name() == name.as_bytes()).and_then(Entry::value)
    }

    /// The value, unless it is empty: for every setting, an empty variable counts as not set.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&[u8]> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// The value as text for a setting; bytes that are not UTF-8 are replaced, so that no setting accepts them.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.set(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The value as a path, which need not be UTF-8.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<std::path::PathBuf> {
        self.set(name).map(|value| std::ffi::OsStr::from_bytes(value).into())
    }
}

impl Entry {
    fn new(string: &'static CStr) -> Self {
        // A leading `=` belongs to the name, as the C libraries have it.
        let equals = string.to_bytes().iter().skip(1).position(|byte| *byte == b'=').map(|at| at + 1);
        Self { string, equals }
    }

    /// For `Launch::inherit`: the app gets the kernel's string, byte for byte.
    #[must_use]
    pub fn string(&self) -> &'static CStr {
        self.string
    }

    #[must_use]
    pub fn name(&self) -> &'static [u8] {
        let bytes = self.string.to_bytes();
        self.equals.and_then(|at| bytes.get(..at)).unwrap_or(bytes)
    }

    #[must_use]
    pub fn value(&self) -> Option<&'static [u8]> {
        self.equals.and_then(|at| self.string.to_bytes().get(at + 1..))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(self.name()))
    }
}

impl fmt::Debug for Environ {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(&self.entries).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_given_twice_the_first_counts_and_both_are_kept() {
        let environ = Environ::new(["A=1", "A=2"]);
        assert_eq!(environ.value("A"), Some(&b"1"[..]));
        assert_eq!(environ.entries().count(), 2);
    }

    #[test]
    fn names_are_found_whatever_the_order_and_only_whole() {
        let environ = Environ::new(["B=2", "AB=3", "A=1", "=A=4"]);
        let value = |name| environ.value(name);
        assert_eq!(
            [value("A"), value("AB"), value("B"), value("=A")],
            [Some(&b"1"[..]), Some(&b"3"[..]), Some(&b"2"[..]), Some(&b"4"[..])]
        );
        assert_eq!([value(""), value("AA"), value("C")], [None, None, None]);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let environ = Environ::new(["A="]);
        assert_eq!(environ.value("A"), Some(&b""[..]));
        assert_eq!(environ.set("A"), None);
    }

    #[test]
    fn strings_without_equals_are_kept_and_have_no_value() {
        let environ = Environ::new(["A", "=C:=x"]);
        assert_eq!(environ.value("A"), None);
        let strings: Vec<&CStr> = environ.entries().map(Entry::string).collect();
        assert_eq!(strings, [c"A", c"=C:=x"]);
    }

    #[test]
    fn debug_shows_names_only() {
        let shown = format!("{:?}", Environ::new(["KEY=canary"]));
        assert!(shown.contains("KEY") && !shown.contains("canary"), "{shown}");
    }
}
