//! Which of a directory's files stand for which of the wanted names.

use std::collections::HashSet;
use std::ffi::CStr;

use super::directory::Directory;
use super::error::FileError;
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::{Deadline, Names, Want};

/// A message names no more of the files that stand for nothing.
const MOST_STRANGERS: usize = 8;

/// So many entries take no time, and what cannot be read in time afterwards is reported by its own name.
const FEW: usize = 1_000;

/// What a directory lists.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// A file, the name that it stands for, and what is wanted of it.
    pub(super) matches: Vec<(String, String, Want)>,
    /// Some of the files that stand for no wanted name.
    strangers: Vec<String>,
    /// How many files there are, those of the system (`..data`) left out.
    count: usize,
    /// How many entries were listed, whatever they are.
    entries: usize,
    /// Whether the directory could be listed.
    is_listed: bool,
    /// What the files' names seem to begin with, though nobody said so.
    likely_prefix: Option<String>,
}

impl Listing {
    pub(super) fn new(
        directory: &Directory,
        names: &Names,
        prefix: &str,
        deadline: Deadline,
    ) -> Result<Self, FileError> {
        let mut listing = Self::default();
        let most = most_matches(names);
        let listed = directory.list(|file| {
            listing.add(file, names, prefix);
            listing.within(most, deadline)
        });
        let Ok(listed) = listed else {
            // It may be searched, but not listed: the usual spellings are tried one by one.
            return Ok(Self { matches: spelt(names, prefix), ..Self::default() });
        };
        listed?;
        listing.is_listed = true;
        listing.drop_second_names(directory);
        // The order of a directory is the file system's own affair; what is read is always in the same order.
        listing.matches.sort_unstable();
        Ok(listing)
    }

    /// Anyone who may write there could otherwise use up the startup's time and memory.
    fn within(&mut self, most: usize, deadline: Deadline) -> Result<(), FileError> {
        self.entries += 1;
        match () {
            () if self.matches.len() > most => Err(FileError::Spellings { most }),
            () if self.entries > FEW && deadline.has_passed() => Err(FileError::Time),
            () => Ok(()),
        }
    }

    fn add(&mut self, file: &CStr, names: &Names, prefix: &str) {
        let Ok(file) = file.to_str() else {
            self.count += 1;
            return;
        };
        if file.starts_with('.') {
            return;
        }
        self.count += 1;
        match wanted(file, names, prefix) {
            Some((name, want)) => self.matches.push((file.to_owned(), name, want)),
            None if self.strangers.len() < MOST_STRANGERS => {
                self.likely_prefix = self.likely_prefix.take().or_else(|| likely_prefix(file, names));
                self.strangers.push(file.to_owned());
            }
            None => {}
        }
    }

    /// Two names of one file are one file: the first in order stays.
    fn drop_second_names(&mut self, directory: &Directory) {
        let mut names: Vec<&str> = self.matches.iter().map(|(_, name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).all(|pair| pair.first() != pair.last()) {
            return;
        }
        let mut seen = HashSet::new();
        self.matches.sort_unstable();
        self.matches.retain(|(file, name, _)| match directory.stat(file) {
            Some(stat) => seen.insert((name.clone(), stat.st_dev, stat.st_ino)),
            None => true,
        });
    }

    /// What the directory looks like, for the message about a secret that it does not have.
    pub(super) fn state(&self, directory: &str) -> String {
        if !self.is_listed {
            return format!("{directory} cannot be listed");
        }
        if self.count == 0 {
            return format!("{directory} is empty");
        }
        let entries = if self.count == 1 { "1 entry" } else { &format!("{} entries", self.count) };
        if self.strangers.is_empty() {
            return format!("{directory} has {entries}");
        }
        let strangers: Vec<String> = self.strangers.iter().map(escaped).collect();
        let more = if self.strangers.len() == MOST_STRANGERS { ", …" } else { "" };
        let hint = self
            .likely_prefix
            .as_ref()
            .map(|prefix| format!("; did you mean `CRYOKEY_NAME_PREFIX={}`?", escaped(prefix)));
        format!(
            "{directory} has {entries}, unused: {}{more}{}",
            strangers.join(", "),
            hint.unwrap_or_default()
        )
    }
}

/// More files that stand for wanted names are no directory of secrets: a name has one or two.
fn most_matches(names: &Names) -> usize {
    4 * names.wanted().count() + 100
}

/// The wanted name that a file stands for: as it is, or behind the prefix.
fn wanted(file: &str, names: &Names, prefix: &str) -> Option<(String, Want)> {
    let look_up = |prefix: &str| {
        let name = EnvName::from_key(file, prefix).ok()?;
        names.want(name.as_str()).map(|want| (name.as_str().to_owned(), want))
    };
    let is_prefixed = !prefix.is_empty() && file.starts_with(prefix);
    look_up("").or_else(|| is_prefixed.then(|| look_up(prefix)).flatten())
}

/// What a file's name begins with, if the rest is a wanted name.
fn likely_prefix(file: &str, names: &Names) -> Option<String> {
    let name = EnvName::from_key(file, "").ok()?;
    let rests = name.as_str().match_indices('_').map(|(at, _)| at + 1);
    let mut known = rests.filter(|at| name.as_str().get(*at..).is_some_and(|rest| names.is_wanted(rest)));
    file.get(..known.next()?).map(str::to_owned)
}

/// The spellings that people use most, of every wanted name.
fn spelt(names: &Names, prefix: &str) -> Vec<(String, String, Want)> {
    let mut spelt = Vec::new();
    for (name, want) in names.wanted() {
        let files = [name.to_owned(), name.to_ascii_lowercase()];
        let prefixed = files.each_ref().map(|file| [prefix, file].concat());
        let prefixed = prefixed.into_iter().filter(|_| !prefix.is_empty());
        spelt.extend(files.into_iter().chain(prefixed).map(|file| (file, name.to_owned(), want)));
    }
    spelt.sort_unstable();
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Names {
        Names::new(wanted.iter().map(|name| ((*name).into(), Want::Value)).collect())
    }

    fn listing(files: &[&str], wanted: &[&str], prefix: &str) -> Listing {
        let temporary = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(temporary.path().join(file), "x").unwrap();
        }
        listed(&temporary, &names(wanted), prefix)
    }

    fn listed(directory: &tempfile::TempDir, names: &Names, prefix: &str) -> Listing {
        let deadline = Deadline::after(std::time::Duration::from_mins(1));
        Listing::new(&Directory::open(directory.path()).unwrap(), names, prefix, deadline).unwrap()
    }

    fn matched(listing: &Listing) -> Vec<(&str, &str)> {
        listing.matches.iter().map(|(file, name, _)| (file.as_str(), name.as_str())).collect()
    }

    #[test]
    fn a_file_stands_for_the_name_that_its_own_maps_to() {
        let listing =
            listing(&["db-password", "Api.Key", "other", ".hidden"], &["DB_PASSWORD", "API_KEY"], "");
        assert_eq!(matched(&listing), [("Api.Key", "API_KEY"), ("db-password", "DB_PASSWORD")]);
        assert_eq!(listing.state("/s"), "/s has 3 entries, unused: other");
    }

    #[test]
    fn a_file_behind_the_prefix_stands_for_the_name_without_it() {
        let listing = listing(&["app_db", "db", "apple"], &["DB", "LE"], "app_");
        assert_eq!(matched(&listing), [("app_db", "DB"), ("db", "DB")]);
    }

    #[test]
    fn two_names_of_one_file_are_one_file() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("DB"), "x").unwrap();
        std::os::unix::fs::symlink("DB", temporary.path().join("db")).unwrap();
        let listing = listed(&temporary, &names(&["DB"]), "");
        assert_eq!(matched(&listing), [("DB", "DB")]);
    }

    #[test]
    fn a_prefix_that_was_not_said_is_proposed() {
        let state = listing(&["cryoprotect_secret_key"], &["SECRET_KEY"], "").state("/s");
        assert!(state.ends_with("did you mean `CRYOKEY_NAME_PREFIX=cryoprotect_`?"), "{state}");
    }
}
