//! What execve gets: program, arguments, environment.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use std::time::Duration;

use zeroize::Zeroizing;

use crate::machine::Policy;
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
        let strings = self.arguments.iter().map(CString::as_c_str).chain(self.environment());
        strings.map(|string| string.count_bytes() + 1 + size_of::<usize>()).sum()
    }

    /// All of it as bytes, for `decode`. Inherited strings are copied: init no longer has them where they were.
    #[must_use]
    pub fn encode(&self, policy: Policy) -> Zeroizing<Vec<u8>> {
        // At once at its final size: growing would leave a copy of the values behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(ENCODED_HEAD + self.size()));
        for time in [policy.grace.unwrap_or(NEVER), policy.linger] {
            bytes.extend_from_slice(&u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&self.arguments.len().to_le_bytes());
        bytes.extend_from_slice(&self.environment.len().to_le_bytes());
        let strings = self.arguments.iter().map(CString::as_c_str).chain(self.environment());
        strings.for_each(|string| bytes.extend_from_slice(string.to_bytes_with_nul()));
        bytes
    }

    /// What `encode` made; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, Policy)> {
        let mut rest = bytes;
        let [grace, linger, arguments, variables] = [(); 4].map(|()| number(&mut rest));
        let policy = Policy {
            grace: Some(Duration::from_millis(grace?)).filter(|grace| *grace != NEVER),
            linger: Duration::from_millis(linger?),
        };
        let mut strings = rest.split_inclusive(|byte| *byte == 0).map(CStr::from_bytes_with_nul);
        let (arguments, variables) = (usize::try_from(arguments?).ok()?, usize::try_from(variables?).ok()?);
        let mut next = || strings.next()?.ok().map(CStr::to_owned);
        let arguments = (0..arguments).map(|_| next()).collect::<Option<Vec<_>>>()?;
        let variables = (0..variables).map(|_| Some(Entry::Added(Zeroizing::new(next()?))));
        let environment = variables.collect::<Option<_>>()?;
        let program = arguments.first()?.clone();
        strings.next().is_none().then_some((Self { program, arguments, environment }, policy))
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

/// Stands for no time at all; in years, longer than anything runs.
const NEVER: Duration = Duration::from_millis(u64::MAX);

/// The numbers before the strings.
const ENCODED_HEAD: usize = 4 * size_of::<u64>();

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
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
    fn a_launch_that_is_encoded_and_decoded_is_the_same() {
        let policies = [
            Policy { grace: None, linger: Duration::ZERO },
            Policy { grace: Some(Duration::from_millis(1_500)), linger: Duration::from_secs(1) },
        ];
        for policy in policies {
            let mut sent = launch();
            for odd in [c"", c"no-equals", c"A=\xff", c"A=2", c"A=1"] {
                sent.inherit(odd);
            }
            let (received, received_policy) = Launch::decode(&sent.encode(policy)).unwrap();
            assert_eq!(received_policy, policy);
            assert_eq!(received.program, sent.program);
            assert_eq!(received.arguments, sent.arguments);
            assert!(received.environment().eq(sent.environment()));
        }
    }

    #[test]
    fn a_launch_that_is_cut_or_has_more_behind_it_is_none() {
        let bytes = launch().encode(Policy { grace: None, linger: Duration::ZERO });
        for end in 0..bytes.len() {
            assert!(Launch::decode(&bytes[..end]).is_none(), "{end}");
        }
        assert!(Launch::decode(&[&bytes[..], b"A=1\0"].concat()).is_none());
        let mut huge = bytes.to_vec();
        huge[16..32].fill(0xff);
        assert!(Launch::decode(&huge).is_none());
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
