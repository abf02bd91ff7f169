//! What went wrong before the app ran: what happened, what to do, and the exit code.
//!
//! The texts are made of names, paths, sizes and kinds. A value cannot get into them: `Secret` has no `Display`.

use std::fmt;

/// Why cryokey ends without having started the app. The numbers are those of BSD's `sysexits.h`, and of POSIX
/// shells for the last three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 64: the command line is wrong.
    Usage,
    /// 65: a value breaks its rule.
    Value,
    /// 66: a required secret or variable does not exist.
    Missing,
    /// 70: a bug of ours.
    Bug,
    /// 71: the kernel refused a resource.
    Resource,
    /// 73: a delivery file cannot be made.
    CannotCreate,
    /// 74: an I/O error half-way.
    Io,
    /// 75: only temporary failures until the start budget ended.
    Temporary,
    /// 77: denied.
    Denied,
    /// 78: the configuration is wrong.
    Configuration,
    /// 126: the app was found but cannot be executed.
    CannotExecute,
    /// 127: the app was not found.
    NotFound,
    /// 128+n: told to stop by signal n before the app ran.
    Stopped(u8),
}

impl Exit {
    /// With several problems the first of these decides (behaviour §7). What is not in the list comes alone.
    const BY_WEIGHT: [Self; 9] = [
        Self::Configuration,
        Self::Denied,
        Self::Missing,
        Self::Value,
        Self::CannotCreate,
        Self::Resource,
        Self::Io,
        Self::Temporary,
        Self::Usage,
    ];

    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Value => 65,
            Self::Missing => 66,
            Self::Bug => 70,
            Self::Resource => 71,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Denied => 77,
            Self::Configuration => 78,
            Self::CannotExecute => 126,
            Self::NotFound => 127,
            Self::Stopped(signal) => 128 + signal,
        }
    }

    fn weight(self) -> usize {
        Self::BY_WEIGHT.iter().position(|exit| *exit == self).unwrap_or(Self::BY_WEIGHT.len())
    }
}

/// One thing that is wrong, in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code to end with, should this be what decides.
    pub exit: Exit,
    /// The secrets, variables or settings that it is about.
    pub names: Vec<String>,
    /// One word for the last log line and for machines.
    pub reason: &'static str,
    /// What happened, with name, source and cause.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem with one name.
    pub fn new(
        exit: Exit,
        reason: &'static str,
        name: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { exit, names: vec![name.into()], reason, what: what.into(), fix: fix.into() }
    }

    /// A setting, variable or manifest entry that cannot be meant as it is: 78.
    pub fn configuration(name: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, "configuration", name, what, fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; to do: {}", self.what, self.fix)
    }
}

/// Where on the way the start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the command line.
    Usage,
    /// Reading the manifest and the settings.
    Configure,
    /// Reading the secrets and checking them.
    Resolve,
    /// Placing files and keys, building the environment.
    Deliver,
    /// Becoming the app.
    Exec,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Usage => "usage",
            Self::Configure => "configure",
            Self::Resolve => "resolve",
            Self::Deliver => "deliver",
            Self::Exec => "exec",
        })
    }
}

/// Why the start ended: everything that is wrong at that point, not only the first thing.
#[derive(Debug)]
pub struct Failure {
    /// Where.
    pub phase: Phase,
    /// What; never empty.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure with one problem.
    #[must_use]
    pub fn one(phase: Phase, problem: Problem) -> Self {
        Self { phase, problems: vec![problem] }
    }

    /// The code that the heaviest problem asks for.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let heaviest = self.problems.iter().map(|problem| problem.exit).min_by_key(|exit| exit.weight());
        heaviest.unwrap_or(Exit::Configuration)
    }

    /// The last line on stderr, for people who read only that one and for machines.
    #[must_use]
    pub fn summary(&self) -> String {
        let exit = self.exit();
        let mut names: Vec<&str> = Vec::new();
        let mut reasons: Vec<&str> = Vec::new();
        for problem in &self.problems {
            names.extend(problem.names.iter().map(String::as_str));
            reasons.push(problem.reason);
        }
        format!(
            "exit code={} phase={} names={} reason={}",
            exit.code(),
            self.phase,
            listed(names),
            listed(reasons)
        )
    }
}

/// A line names no more than these; `+N` says how many more there are.
const MOST_WORDS: usize = 20;

/// The words once each, in the order of their first appearance.
fn listed(words: Vec<&str>) -> String {
    let mut unique: Vec<&str> = Vec::with_capacity(words.len());
    for word in words {
        if !unique.contains(&word) {
            unique.push(word);
        }
    }
    let more = unique.len().saturating_sub(MOST_WORDS);
    unique.truncate(MOST_WORDS);
    match (unique.as_slice(), more) {
        ([], _) => "-".into(),
        (words, 0) => words.join(","),
        (words, more) => format!("{},+{more}", words.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(exits: &[Exit]) -> Failure {
        let problem = |exit: &Exit| Problem::new(*exit, "why", format!("{exit:?}"), "it broke", "mend it");
        Failure { phase: Phase::Resolve, problems: exits.iter().map(problem).collect() }
    }

    #[test]
    fn with_several_problems_the_heaviest_decides_whatever_the_order() {
        use Exit::{CannotCreate, Configuration, Denied, Io, Missing, Resource, Temporary, Value};
        let by_weight = [Configuration, Denied, Missing, Value, CannotCreate, Resource, Io, Temporary];
        for (at, heavier) in by_weight.iter().enumerate() {
            for lighter in &by_weight[at..] {
                assert_eq!(failure(&[*heavier, *lighter]).exit(), *heavier);
                assert_eq!(failure(&[*lighter, *heavier]).exit(), *heavier);
            }
        }
    }

    #[test]
    fn the_summary_names_each_thing_once() {
        let summary = failure(&[Exit::Missing, Exit::Missing, Exit::Value]).summary();
        assert_eq!(summary, "exit code=66 phase=resolve names=Missing,Value reason=why");
    }
}
