//! Errors before the app is started: what happened, how to fix it, and the exit code.
//!
//! The texts consist of names, paths, sizes and kinds. They cannot contain a value: `Secret` has no `Display`.

use std::fmt;

/// The exit codes of BSD's `sysexits.h`; the last three are those of POSIX shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Usage,
    Value,
    Missing,
    Untrusted,
    Bug,
    Resource,
    CannotCreate,
    Io,
    Temporary,
    Nonsense,
    Denied,
    Configuration,
    CannotExecute,
    NotFound,
    /// 128 plus the signal.
    Stopped(u8),
}

impl Exit {
    /// With several problems, the first of these is the exit code (docs/rules.md). The others never occur together.
    const BY_SEVERITY: [Self; 11] = [
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

    fn severity(self) -> usize {
        Self::BY_SEVERITY.iter().position(|exit| *exit == self).unwrap_or(Self::BY_SEVERITY.len())
    }
}

/// The kind of a problem, which determines the exit code. docs/messages.md explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Bug,
    /// Only ever a warning.
    ByteOrderMark,
    CannotCreate,
    CannotExecute,
    /// Only ever a warning.
    CarriageReturn,
    Configuration,
    Denied,
    Disk,
    Empty,
    EnvFile,
    ForeignFile,
    Format,
    Invalid,
    Io,
    Missing,
    NoHome,
    Nonsense,
    NotFound,
    Nul,
    Placeholder,
    PlainEnv,
    /// Only ever a warning.
    Planted,
    Reference,
    Resource,
    Rotation,
    Size,
    Stopped(u8),
    Timeout,
    /// Only ever a warning.
    TwoHomes,
    Unreachable,
    Untrusted,
    Usage,
}

impl Reason {
    /// In the order of their words, for documents and tests.
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
        Self::EnvFile,
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
        Self::Reference,
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

    /// The word, and the exit code if it stops startup.
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
            Self::EnvFile => ("env-file", Exit::Value),
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
            Self::Reference => ("reference", Exit::Value),
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

    /// As in the last log line and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.facts().0
    }

    #[must_use]
    pub const fn exit(self) -> Exit {
        self.facts().1
    }
}

/// One thing that is wrong: what happened, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub reason: Reason,
    /// The secrets, variables or settings concerned.
    pub names: Vec<String>,
    /// What happened, with name, source and cause.
    pub what: String,
    pub fix: String,
}

impl Problem {
    pub fn new(
        reason: Reason,
        name: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { reason, names: vec![name.into()], what: what.into(), fix: fix.into() }
    }

    /// An invalid setting, variable or manifest entry.
    pub fn configuration(name: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Reason::Configuration, name, what, fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; fix: {}", self.what, self.fix)
    }
}

/// The phase of startup, as the last log line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Usage,
    Configure,
    Resolve,
    Deliver,
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

/// Why startup failed: everything that is wrong in that phase, not only the first problem.
#[derive(Debug)]
pub struct Failure {
    pub phase: Phase,
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl Failure {
    #[must_use]
    pub fn one(phase: Phase, problem: Problem) -> Self {
        Self { phase, problems: vec![problem] }
    }

    /// A bug of cryokey.
    #[must_use]
    pub fn bug(phase: Phase, what: impl Into<String>) -> Self {
        let fix = "report this line; it contains no secret value";
        Self::one(phase, Problem::new(Reason::Bug, "cryokey", what, fix))
    }

    /// The exit code of the most severe problem.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let most_severe =
            self.problems.iter().map(|problem| problem.reason.exit()).min_by_key(|exit| exit.severity());
        most_severe.unwrap_or(Exit::Configuration)
    }

    /// The last line on stderr, for scripts and for readers of that line alone.
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

/// Longer lists, in words or bytes, end in `+N`, the number of words left out, so that the rest of the line is kept.
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
        let problem = |exit: &Exit| Problem::new(reason(*exit), format!("{exit:?}"), "it broke", "fix it");
        Failure { phase: Phase::Resolve, problems: exits.iter().map(problem).collect() }
    }

    #[test]
    fn with_several_problems_the_most_severe_decides_whatever_the_order() {
        use Exit::{
            CannotCreate, Configuration, Denied, Io, Missing, Nonsense, Resource, Temporary, Untrusted, Value,
        };
        let by_severity = [
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
        for (at, worse) in by_severity.iter().enumerate() {
            for milder in &by_severity[at..] {
                assert_eq!(failure(&[*worse, *milder]).exit(), *worse);
                assert_eq!(failure(&[*milder, *worse]).exit(), *worse);
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
