//! What went wrong before the app ran: what happened, how to fix it, and the exit code.
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
    /// 69: a provider cannot be trusted or addressed.
    Untrusted,
    /// 70: a bug in cryokey.
    Bug,
    /// 71: the kernel refused a resource.
    Resource,
    /// 73: a delivery file cannot be made.
    CannotCreate,
    /// 74: an I/O error half-way.
    Io,
    /// 75: only temporary failures until the startup timeout expired.
    Temporary,
    /// 76: a provider answered nonsense.
    Nonsense,
    /// 77: denied.
    Denied,
    /// 78: the configuration is wrong.
    Configuration,
    /// 126: the app was found but cannot be executed.
    CannotExecute,
    /// 127: the app was not found.
    NotFound,
    /// 128+n: stopped by signal n before the app ran.
    Stopped(u8),
}

impl Exit {
    /// With several problems the first of these decides (docs/rules.md). What is not in the list comes alone.
    const BY_WEIGHT: [Self; 11] = [
        Self::Configuration,
        Self::Denied,
        Self::Missing,
        Self::Value,
        Self::CannotCreate,
        Self::Resource,
        Self::Io,
        Self::Untrusted,
        Self::Nonsense,
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
            Self::Untrusted => 69,
            Self::Bug => 70,
            Self::Resource => 71,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Nonsense => 76,
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

/// What kind of problem it is. The word is for the last log line and for machines; the exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A bug in cryokey.
    Bug,
    /// A value begins with a byte order mark; only ever a warning.
    ByteOrderMark,
    /// A file or directory cannot be made.
    CannotCreate,
    /// The app was found but cannot be executed.
    CannotExecute,
    /// A value ends in a Windows line end; only ever a warning.
    CarriageReturn,
    /// Settings, manifest, collisions, selection.
    Configuration,
    /// Owner and mode, a link out of the directory, a policy.
    Denied,
    /// A delivery file would be on a disk.
    Disk,
    /// A required value is empty.
    Empty,
    /// A file in the way that cryokey did not write.
    ForeignFile,
    /// A value is not of its format.
    Format,
    /// Something that cannot be a secret: a directory, or too large.
    Invalid,
    /// Reading broke off.
    Io,
    /// A required secret or variable does not exist.
    Missing,
    /// There is no home directory.
    NoHome,
    /// A provider answered what it must not.
    Nonsense,
    /// The app was not found.
    NotFound,
    /// A value has a NUL byte.
    Nul,
    /// A value is a placeholder.
    Placeholder,
    /// A required secret is only a plain variable.
    PlainEnv,
    /// A file that another user may have put there; only ever a warning.
    Planted,
    /// The kernel refused a resource.
    Resource,
    /// A secret is too old, or its age is unknown.
    Rotation,
    /// A value is too large for its delivery.
    Size,
    /// Stopped by a signal.
    Stopped(u8),
    /// The startup timeout expired.
    Timeout,
    /// HOME and the account's home directory differ; only ever a warning.
    TwoHomes,
    /// A provider could not be reached.
    Unreachable,
    /// A provider cannot be trusted or addressed.
    Untrusted,
    /// The command line.
    Usage,
}

impl Reason {
    /// Every reason, in the order of its word, for documents and tests.
    pub const ALL: &[Self] = &[
        Self::Bug,
        Self::ByteOrderMark,
        Self::CannotCreate,
        Self::CannotExecute,
        Self::CarriageReturn,
        Self::Configuration,
        Self::Denied,
        Self::Disk,
        Self::Empty,
        Self::ForeignFile,
        Self::Format,
        Self::Invalid,
        Self::Io,
        Self::Missing,
        Self::NoHome,
        Self::Nonsense,
        Self::NotFound,
        Self::Nul,
        Self::Placeholder,
        Self::PlainEnv,
        Self::Planted,
        Self::Resource,
        Self::Rotation,
        Self::Size,
        Self::Stopped(15),
        Self::Timeout,
        Self::TwoHomes,
        Self::Unreachable,
        Self::Untrusted,
        Self::Usage,
    ];

    /// The word, and the exit code for when it stops startup.
    const fn facts(self) -> (&'static str, Exit) {
        match self {
            Self::Bug => ("bug", Exit::Bug),
            Self::ByteOrderMark => ("byte-order-mark", Exit::Value),
            Self::CannotCreate => ("cannot-create", Exit::CannotCreate),
            Self::CannotExecute => ("cannot-execute", Exit::CannotExecute),
            Self::CarriageReturn => ("carriage-return", Exit::Value),
            Self::Configuration => ("configuration", Exit::Configuration),
            Self::Denied => ("denied", Exit::Denied),
            Self::Disk => ("disk", Exit::CannotCreate),
            Self::Empty => ("empty", Exit::Value),
            Self::ForeignFile => ("foreign-file", Exit::CannotCreate),
            Self::Format => ("format", Exit::Value),
            Self::Invalid => ("invalid", Exit::Value),
            Self::Io => ("io", Exit::Io),
            Self::Missing => ("missing", Exit::Missing),
            Self::NoHome => ("no-home", Exit::CannotCreate),
            Self::Nonsense => ("nonsense", Exit::Nonsense),
            Self::NotFound => ("not-found", Exit::NotFound),
            Self::Nul => ("nul", Exit::Value),
            Self::Placeholder => ("placeholder", Exit::Value),
            Self::PlainEnv => ("plain-env", Exit::Missing),
            Self::Planted => ("planted", Exit::Denied),
            Self::Resource => ("resource", Exit::Resource),
            Self::Rotation => ("rotation", Exit::Configuration),
            Self::Size => ("size", Exit::Value),
            Self::Stopped(signal) => ("stopped", Exit::Stopped(signal)),
            Self::Timeout => ("timeout", Exit::Temporary),
            Self::TwoHomes => ("two-homes", Exit::CannotCreate),
            Self::Unreachable => ("unreachable", Exit::Temporary),
            Self::Untrusted => ("untrusted", Exit::Untrusted),
            Self::Usage => ("usage", Exit::Usage),
        }
    }

    /// The word for the last log line and for machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.facts().0
    }

    /// The exit code, should this stop startup.
    #[must_use]
    pub const fn exit(self) -> Exit {
        self.facts().1
    }
}

/// One thing that is wrong, in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is; the exit code follows from it.
    pub reason: Reason,
    /// The secrets, variables or settings that it is about.
    pub names: Vec<String>,
    /// What happened, with name, source and cause.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

impl Problem {
    /// A problem with one name.
    pub fn new(
        reason: Reason,
        name: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { reason, names: vec![name.into()], what: what.into(), fix: fix.into() }
    }

    /// A setting, variable or manifest entry that cannot be meant as it is: exits with 78.
    pub fn configuration(name: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Reason::Configuration, name, what, fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; fix: {}", self.what, self.fix)
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
        let heaviest =
            self.problems.iter().map(|problem| problem.reason.exit()).min_by_key(|exit| exit.weight());
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
            reasons.push(problem.reason.word());
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

/// A line names no more than these, and in no more bytes, so that what follows them stays; `+N` says how many more there
/// are.
const MOST_WORDS: usize = 20;
const LONGEST_LIST: usize = 1_000;

/// The words once each, in the order of their first appearance.
fn listed(words: Vec<&str>) -> String {
    let mut unique: Vec<&str> = Vec::with_capacity(words.len());
    for word in words {
        if !unique.contains(&word) {
            unique.push(word);
        }
    }
    let mut length = 0;
    let fits = |word: &&&str| {
        length += word.len() + 1;
        length <= LONGEST_LIST
    };
    let shown = unique.iter().take(MOST_WORDS).take_while(fits).count();
    let more = unique.len() - shown;
    unique.truncate(shown);
    match (unique.as_slice(), more) {
        ([], 0) => "-".into(),
        ([], more) => format!("+{more}"),
        (words, 0) => words.join(","),
        (words, more) => format!("{},+{more}", words.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(exits: &[Exit]) -> Failure {
        let reason = |exit: Exit| *Reason::ALL.iter().find(|reason| reason.exit() == exit).unwrap();
        let problem = |exit: &Exit| Problem::new(reason(*exit), format!("{exit:?}"), "it broke", "mend it");
        Failure { phase: Phase::Resolve, problems: exits.iter().map(problem).collect() }
    }

    #[test]
    fn with_several_problems_the_heaviest_decides_whatever_the_order() {
        use Exit::{
            CannotCreate, Configuration, Denied, Io, Missing, Nonsense, Resource, Temporary, Untrusted, Value,
        };
        let by_weight = [
            Configuration,
            Denied,
            Missing,
            Value,
            CannotCreate,
            Resource,
            Io,
            Untrusted,
            Nonsense,
            Temporary,
        ];
        for (at, heavier) in by_weight.iter().enumerate() {
            for lighter in &by_weight[at..] {
                assert_eq!(failure(&[*heavier, *lighter]).exit(), *heavier);
                assert_eq!(failure(&[*lighter, *heavier]).exit(), *heavier);
            }
        }
    }

    #[test]
    fn the_summary_has_its_reason_however_long_the_names_are() {
        let long =
            |at: usize| Problem::configuration(format!("{at}{}", "N".repeat(200)), "it broke", "mend it");
        let failure = Failure { phase: Phase::Resolve, problems: (0..30).map(long).collect() };
        let summary = failure.summary();
        assert!(summary.len() < 1_200 && summary.ends_with(",+26 reason=configuration"), "{summary}");
    }

    #[test]
    fn the_summary_names_each_thing_once() {
        let summary = failure(&[Exit::Missing, Exit::Missing, Exit::Value]).summary();
        assert_eq!(summary, "exit code=66 phase=resolve names=Missing,Value reason=missing,byte-order-mark");
    }
}
