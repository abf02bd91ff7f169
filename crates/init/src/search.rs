//! Searches a program by POSIX's rules for PATH, without the shell fallback of `execvp`.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

/// What the C library searches if PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The candidates, in order. A name with a slash is a path already; an empty entry is the working directory
/// (POSIX.1-2024, XBD 8.3, PATH).
pub(crate) fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<CString> {
    let name = program.as_bytes();
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains(&b'/') {
        return CString::new(name).into_iter().collect();
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    path.split(|byte| *byte == b':').filter_map(|directory| join(directory, name)).collect()
}

fn join(directory: &[u8], name: &[u8]) -> Option<CString> {
    let mut joined = directory.to_vec();
    if !directory.is_empty() && !directory.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    CString::new(joined).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(program: &str, path: Option<&str>) -> Vec<String> {
        let found = candidates(OsStr::new(program), path.map(OsStr::new));
        found.into_iter().map(|path| path.into_string().unwrap()).collect()
    }

    #[test]
    fn a_name_with_a_slash_is_not_searched() {
        assert_eq!(searched("./app", Some("/bin")), ["./app"]);
        assert_eq!(searched("bin/app", None), ["bin/app"]);
    }

    #[test]
    fn g13_empty_and_relative_entries_keep_their_place() {
        assert_eq!(searched("app", Some(":/a/:b:.:")), ["app", "/a/app", "b/app", "./app", "app"]);
    }

    #[test]
    fn without_a_path_the_system_directories_are_searched() {
        assert_eq!(searched("app", None), ["/bin/app", "/usr/bin/app"]);
    }

    #[test]
    fn an_empty_name_is_found_nowhere() {
        assert!(searched("", Some("/bin")).is_empty());
    }
}
