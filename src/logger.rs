//! The log: one line per event on stderr, as text or JSON. A stalled reader cannot block startup.

use std::cell::Cell;
use std::fmt::Display;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::environ::{Environ, variable};
use crate::error::{Failure, Problem};
use crate::escape::escaped;
use crate::suggest::did_you_mean;
use crate::system::output;

/// `PIPE_BUF`: POSIX promises that a pipe for which `poll` reports room takes this much at once.
const LONGEST_LINE: usize = 4_096;

/// The longest parts of a line, in bytes, chosen so that a JSON line of them is complete.
const LONGEST_MESSAGE: usize = 1_500;
const LONGEST_FIX: usize = 600;
const MOST_NAMES: usize = 20;

/// How long all lines together may wait for a reader; after that, a line that has no room is dropped.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The app is not started.
    Error,
    /// Startup continues, but needs attention.
    Warn,
    Info,
    Debug,
}

impl Level {
    const WORDS: [(&'static str, Self); 4] =
        [("error", Self::Error), ("warn", Self::Warn), ("info", Self::Info), ("debug", Self::Debug)];

    fn text(self) -> &'static str {
        Self::WORDS.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| word)
    }
}

#[derive(Debug)]
pub struct Logger {
    level: Level,
    is_json: bool,
    /// How long lines have waited for a reader.
    waited: Cell<Duration>,
    /// How many lines have been dropped since the last one that was written.
    dropped: Cell<usize>,
    /// Set if a report on the same terminal shows the problems of a failure, so that they are not repeated.
    is_reported: Cell<bool>,
}

#[derive(Clone, Serialize)]
struct Line<'a> {
    time: String,
    level: Level,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    names: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

impl Logger {
    /// The logger that the environment configures, and every invalid setting of it.
    #[must_use]
    pub fn new(environ: &Environ) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let level = choice(environ, variable::LOG, &Level::WORDS, &mut problems);
        let format = choice(environ, variable::LOG_FORMAT, &[("text", false), ("json", true)], &mut problems);
        let logger = Self {
            level: level.unwrap_or(Level::Info),
            is_json: format.unwrap_or(false),
            waited: Cell::new(Duration::ZERO),
            dropped: Cell::new(0),
            is_reported: Cell::new(false),
        };
        (logger, problems)
    }

    /// A log that drops a line rather than wait for a reader.
    #[must_use]
    pub fn without_patience(&self) -> Self {
        Self {
            level: self.level,
            is_json: self.is_json,
            waited: Cell::new(PATIENCE),
            dropped: Cell::new(0),
            is_reported: self.is_reported.clone(),
        }
    }

    /// How many lines are missing, for another process to say; this one does not any more.
    #[must_use]
    pub fn take_dropped(&self) -> usize {
        self.dropped.take()
    }

    /// So many lines of another process are missing.
    pub fn add_dropped(&self, lines: usize) {
        self.dropped.set(self.dropped.get().saturating_add(lines));
    }

    /// Pass `format_args!`, not `format!`: a line below the level is then never formatted.
    pub fn info(&self, message: impl Display) {
        self.write(Level::Info, message, None);
    }

    /// Several things that were done, in as few writes as fit a pipe.
    pub fn info_all<T: Display>(&self, messages: impl IntoIterator<Item = T>) {
        if Level::Info > self.level {
            return;
        }
        let mut block = String::new();
        for message in messages {
            let text = self.text(&line(Level::Info, &message.to_string(), None));
            if block.len() + text.len() > LONGEST_LINE {
                self.send(&block);
                block.clear();
            }
            block.push_str(&text);
        }
        self.send(&block);
    }

    pub fn debug(&self, message: impl Display) {
        self.write(Level::Debug, message, None);
    }

    pub fn warn(&self, message: impl Display) {
        self.write(Level::Warn, message, None);
    }

    /// A problem that does not stop startup.
    pub fn tolerated(&self, problem: &Problem) {
        self.write(Level::Warn, &problem.what, Some(problem));
    }

    /// Leaves the problems of a failure to the report on standard output, if both go to a terminal.
    pub fn leave_problems_to_report(&self) {
        self.is_reported.set(std::io::stdout().is_terminal() && std::io::stderr().is_terminal());
    }

    /// Every problem, then the summary as the last line.
    pub fn failure(&self, failure: &Failure) {
        let problems = failure.problems.iter().filter(|_| !self.is_reported.get());
        for problem in problems {
            self.write(Level::Error, &problem.what, Some(problem));
        }
        self.line(&Line {
            code: Some(failure.exit().code()),
            ..line(Level::Error, &failure.summary(), None)
        });
    }

    fn write(&self, level: Level, message: impl Display, problem: Option<&Problem>) {
        if level <= self.level {
            self.line(&line(level, &message.to_string(), problem));
        }
    }

    fn line(&self, line: &Line<'_>) {
        self.send(&self.text(line));
    }

    fn text(&self, line: &Line<'_>) -> String {
        let mut text = if self.is_json { json(line) } else { plain(line) };
        text.truncate(shortened(&text, LONGEST_LINE - 1).len());
        text.push('\n');
        text
    }

    /// A log that cannot be written is no reason to stop: the app matters more.
    fn send(&self, lines: &str) {
        let mut block = self.dropped_before();
        if block.len() + lines.len() > LONGEST_LINE && self.is_sent(&block) {
            self.dropped.set(0);
            block.clear();
        }
        block.push_str(lines);
        let dropped = if self.is_sent(&block) { 0 } else { self.dropped.get() + lines.lines().count() };
        self.dropped.set(dropped);
    }

    /// A line that says how many have been dropped, if any.
    fn dropped_before(&self) -> String {
        match self.dropped.get() {
            0 => String::new(),
            lines => self.text(&line(Level::Warn, &not_read(lines), None)),
        }
    }

    fn is_sent(&self, lines: &str) -> bool {
        let (start, waited) = (Instant::now(), self.waited.get());
        let sent =
            output::write_all(rustix::stdio::stderr(), lines.as_bytes(), PATIENCE.saturating_sub(waited));
        self.waited.set(waited.saturating_add(start.elapsed()));
        sent.is_ok()
    }
}

fn choice<T: Copy>(
    environ: &Environ,
    name: &'static str,
    words: &[(&'static str, T)],
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = environ.text(name)?;
    let found = words.iter().find(|(word, _)| *word == text.to_ascii_lowercase()).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = did_you_mean(&text, known.iter().copied());
        let what = format!("invalid value `{}` for {name}{hint}", escaped(&text));
        problems.push(Problem::configuration(name, what, format!("set it to one of {}", known.join(", "))));
    }
    found
}

fn line<'a>(level: Level, message: &'a str, problem: Option<&'a Problem>) -> Line<'a> {
    let names: &[String] = problem.map_or(&[], |problem| &problem.names);
    Line {
        time: now(),
        level,
        message: shortened(message, LONGEST_MESSAGE),
        fix: problem.map(|problem| shortened(&problem.fix, LONGEST_FIX)),
        names: names.get(..MOST_NAMES).unwrap_or(names),
        reason: problem.map(|problem| problem.reason.word()),
        code: None,
    }
}

fn not_read(lines: usize) -> String {
    let lines = if lines == 1 { "1 line is".to_owned() } else { format!("{lines} lines are") };
    format!("{lines} missing here, because nothing read the log; fix: read standard error all the time")
}

/// RFC 3339, UTC, whole seconds.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

fn plain(line: &Line<'_>) -> String {
    let fix = line.fix.map(|fix| format!("; fix: {fix}")).unwrap_or_default();
    format!("{} {} {}{fix}", line.time, line.level.text(), line.message)
}

fn json(line: &Line<'_>) -> String {
    // Names can be left out; cut anywhere else, the line would not be JSON.
    let fits = |text: &String| text.len() < LONGEST_LINE;
    let with = |names| serialized(&Line { names, ..line.clone() });
    let counts = (0..=line.names.len()).rev();
    let shortened = counts.map(|count| with(line.names.get(..count).unwrap_or_default())).find(fits);
    shortened.unwrap_or_else(|| {
        let message = self::shortened(line.message, LONGEST_MESSAGE / 2);
        serialized(&Line { names: &[], fix: None, message, ..line.clone() })
    })
}

fn serialized(line: &Line<'_>) -> String {
    // Serialising strings and numbers cannot fail.
    serde_json::to_string(line).unwrap_or_default()
}

/// The text up to a length in bytes, cut at a character boundary.
fn shortened(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_level_and_message_in_two_parts() {
        let problem = Problem::configuration("A", "A is wrong", "fix it");
        let text = plain(&line(Level::Error, &problem.what, Some(&problem)));
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.parse::<Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "error A is wrong; fix: fix it");
    }

    #[test]
    fn a_line_below_the_level_is_never_formatted() {
        struct Unwanted;
        impl Display for Unwanted {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("formatted")
            }
        }
        let (log, _) = Logger::new(&Environ::new(["CRYOKEY_LOG=error"]));
        log.warn(Unwanted);
        log.info(Unwanted);
        log.debug(Unwanted);
    }

    #[test]
    fn json_lines_carry_the_parts_by_name() {
        let problem = Problem::configuration("A", "A is \"wrong\"", "fix it");
        let text = json(&line(Level::Warn, &problem.what, Some(&problem)));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["message"], "A is \"wrong\"");
        assert_eq!(parsed["fix"], "fix it");
        assert_eq!(parsed["level"], "warn");
        assert_eq!(parsed["names"][0], "A");
    }

    #[test]
    fn the_longest_json_line_is_complete_and_fits_into_a_pipe() {
        let problem = Problem {
            names: vec!["N".repeat(30); 1_000],
            ..Problem::configuration("A", "ä\"".repeat(5_000), "\"".repeat(5_000))
        };
        let text = json(&line(Level::Error, &problem.what, Some(&problem)));
        assert!(text.len() < LONGEST_LINE, "{}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn a_json_line_with_many_long_names_leaves_names_out_and_is_whole() {
        for what in ["short".to_owned(), "\"".repeat(5_000)] {
            let names = vec!["N".repeat(250); 30];
            let problem = Problem { names, ..Problem::configuration("A", what, "\"".repeat(5_000)) };
            let text = json(&line(Level::Error, &problem.what, Some(&problem)));
            assert!(text.len() < LONGEST_LINE, "{}", text.len());
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(parsed["reason"], "configuration");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shortened("ääää", 5), "ää");
        assert_eq!(shortened("abc", 5), "abc");
    }
}
