//! What execve gets: program, arguments, environment.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use zeroize::Zeroizing;

use crate::search;

/// What execve gets. The environment contains secrets: what cryokey added is wiped on drop, and `Debug` shows only
/// names.
pub struct Launch {
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    environment: Vec<Entry>,
}

enum Entry {
    /// Inherited, in the kernel's place: neither copied nor wiped, because execve discards that memory.
    Inherited(&'static CStr),
    Added(Zeroizing<CString>),
}

/// A string contained a NUL, where the kernel would have truncated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NulInside;

impl Launch {
    /// `arguments` does not include the program's name. The environment starts empty; the caller decides what the app
    /// inherits.
    pub fn new(program: &OsStr, arguments: &[impl AsRef<OsStr>]) -> Result<Self, NulInside> {
        let mut all = vec![string(program.as_bytes())?];
        for argument in arguments {
            all.push(string(argument.as_ref().as_bytes())?);
        }
        Ok(Self { program: string(program.as_bytes())?, arguments: all, environment: Vec::new() })
    }

    /// Passes on an environment string unchanged, even one without `=`.
    pub fn inherit(&mut self, entry: &'static CStr) {
        self.environment.push(Entry::Inherited(entry));
    }

    /// Adds `NAME=value`. It is wiped in any case, even on an error.
    pub fn push_environment(&mut self, entry: Vec<u8>) -> Result<(), NulInside> {
        let entry = CString::new(entry).map_err(|refused| {
            drop(Zeroizing::new(refused.into_vec()));
            NulInside
        })?;
        self.environment.push(Entry::Added(Zeroizing::new(entry)));
        Ok(())
    }

    /// As given, not the path that was found; messages name both.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        OsStr::from_bytes(self.program.as_bytes())
    }

    /// The paths at which the program may be, in order.
    pub(crate) fn candidates(&self) -> Vec<CString> {
        search::candidates(self.program(), self.variable("PATH"))
    }

    /// The bytes that execve must copy for the strings and the pointers to them, which the kernel limits together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.strings().map(|string| string.count_bytes() + 1 + size_of::<usize>()).sum()
    }

    pub(crate) fn strings(&self) -> impl Iterator<Item = &CStr> {
        self.arguments.iter().map(CString::as_c_str).chain(self.environment())
    }

    /// From copies of its strings. `None`: there is not even a program.
    pub(crate) fn from_strings(
        arguments: Vec<CString>,
        environment: Vec<Zeroizing<CString>>,
    ) -> Option<Self> {
        let program = arguments.first()?.clone();
        let environment = environment.into_iter().map(Entry::Added).collect();
        Some(Self { program, arguments, environment })
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = &CStr> {
        self.environment.iter().map(Entry::as_c_str)
    }

    /// The first if a name occurs twice, as with `getenv`.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = |entry: &'_ CStr| -> Option<usize> {
            entry.to_bytes().strip_prefix(name.as_bytes())?.starts_with(b"=").then_some(name.len() + 1)
        };
        self.environment().find_map(|entry| {
            let start = value(entry)?;
            entry.to_bytes().get(start..).map(OsStr::from_bytes)
        })
    }
}

impl Entry {
    fn as_c_str(&self) -> &CStr {
        match self {
            Self::Inherited(entry) => entry,
            Self::Added(entry) => entry,
        }
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.environment().map(|entry| {
            let name = entry.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
            OsStr::from_bytes(name)
        });
        formatter
            .debug_struct("Launch")
            .field("program", &self.program)
            .field("environment", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn string(bytes: &[u8]) -> Result<CString, NulInside> {
    CString::new(bytes).map_err(|_| NulInside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        let mut launch = Launch::new(OsStr::new("/bin/app"), &["-v"]).unwrap();
        launch.inherit(c"PATH=/bin");
        launch.push_environment(b"KEY=canary-value".to_vec()).unwrap();
        launch
    }

    #[test]
    fn debug_shows_names_and_no_value_and_no_argument() {
        let mut launch = launch();
        launch.inherit(c"TOKEN=canary-inherited");
        let shown = format!("{launch:?}");
        assert!(shown.contains("KEY") && shown.contains("TOKEN"));
        assert!(!shown.contains("canary") && !shown.contains("-v"), "{shown}");
    }

    #[test]
    fn a_nul_is_refused_instead_of_cutting_the_string() {
        assert_eq!(launch().push_environment(b"A=b\0c".to_vec()), Err(NulInside));
        assert!(Launch::new(OsStr::new("a\0b"), &["x"; 0]).is_err());
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        assert_eq!(launch().variable("PATH"), Some(OsStr::new("/bin")));
        assert_eq!(launch().variable("PAT"), None);
    }

    #[test]
    fn of_a_variable_given_twice_the_first_counts() {
        let mut launch = launch();
        launch.inherit(c"PATH=/late");
        assert_eq!(launch.variable("PATH"), Some(OsStr::new("/bin")));
    }

    #[test]
    fn the_size_counts_strings_their_ends_and_the_pointers() {
        let expected = "/bin/app".len() + "-v".len() + "PATH=/bin".len() + "KEY=canary-value".len() + 4 * 9;
        assert_eq!(launch().size(), expected);
    }

    #[test]
    fn an_inherited_string_is_passed_on_where_it_is() {
        let entry = c"PATH=/bin";
        let mut launch = Launch::new(OsStr::new("app"), &["x"; 0]).unwrap();
        launch.inherit(entry);
        let passed: Vec<_> = launch.environment().map(CStr::as_ptr).collect();
        assert_eq!(passed, [entry.as_ptr()]);
    }
}
