//! What will run: program, arguments, environment.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use zeroize::Zeroizing;

/// What will run. The environment holds secrets: it is wiped on drop, and `Debug` shows names only.
pub struct Launch {
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<Zeroizing<CString>>,
}

/// A string for the kernel had a NUL in it, so it would have been cut there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NulInside;

impl Launch {
    /// A program with its arguments, without the program's own name, and with an empty environment.
    pub fn new(program: &OsStr, arguments: &[impl AsRef<OsStr>]) -> Result<Self, NulInside> {
        let mut all = vec![string(program.as_bytes())?];
        for argument in arguments {
            all.push(string(argument.as_ref().as_bytes())?);
        }
        Ok(Self { program: string(program.as_bytes())?, arguments: all, environment: Vec::new() })
    }

    /// Adds a string to the environment as it is: usually `NAME=value`, but whatever was inherited passes.
    pub fn push_environment(&mut self, entry: Vec<u8>) -> Result<(), NulInside> {
        let entry = CString::new(entry).map_err(|refused| {
            drop(Zeroizing::new(refused.into_vec()));
            NulInside
        })?;
        self.environment.push(Zeroizing::new(entry));
        Ok(())
    }

    /// The program as it was asked for.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        OsStr::from_bytes(self.program.as_bytes())
    }

    /// The bytes that execve must copy for the strings and the pointers to them.
    #[must_use]
    pub fn size(&self) -> usize {
        let strings = self.arguments.iter().chain(self.environment.iter().map(|entry| &**entry));
        strings.map(|string| string.as_bytes_with_nul().len() + size_of::<usize>()).sum()
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value_of = |entry: &'_ Zeroizing<CString>| -> Option<usize> {
            entry.as_bytes().strip_prefix(name.as_bytes())?.starts_with(b"=").then_some(name.len() + 1)
        };
        self.environment.iter().find_map(|entry| {
            let start = value_of(entry)?;
            entry.as_bytes().get(start..).map(OsStr::from_bytes)
        })
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.environment.iter().map(|entry| {
            let name = entry.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
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
        launch.push_environment(b"PATH=/bin".to_vec()).unwrap();
        launch.push_environment(b"KEY=canary-value".to_vec()).unwrap();
        launch
    }

    #[test]
    fn debug_shows_names_and_no_value_and_no_argument() {
        let shown = format!("{:?}", launch());
        assert!(shown.contains("KEY"));
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
    fn the_size_counts_strings_their_ends_and_the_pointers() {
        let expected = "/bin/app".len() + "-v".len() + "PATH=/bin".len() + "KEY=canary-value".len() + 4 * 9;
        assert_eq!(launch().size(), expected);
    }
}
