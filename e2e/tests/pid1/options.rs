//! The command line: the suite's own options, and those of Rust's test harness that other tools pass.

use std::num::NonZero;

/// Not more: a case measures the time of what it starts.
const THREADS: usize = 3;

/// Options of the harness with a value that changes nothing here.
const WITH_VALUE: [&str; 5] = ["--color", "--format", "--logfile", "--shuffle-seed", "-Z"];

pub(crate) struct Options {
    pub(crate) subject: Option<String>,
    pub(crate) is_table: bool,
    pub(crate) is_list: bool,
    pub(crate) threads: usize,
    is_exact: bool,
    filters: Vec<String>,
    skip: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let threads = std::env::var("RUST_TEST_THREADS").ok().and_then(|threads| threads.parse().ok());
        let mut options = Self {
            subject: None,
            is_table: false,
            is_list: false,
            threads: threads.unwrap_or(THREADS),
            is_exact: false,
            filters: Vec::new(),
            skip: Vec::new(),
        };
        // `--option=value` and `--option value` are the same.
        let split = |argument: String| match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
            _ => vec![argument],
        };
        let mut words = arguments.flat_map(split);
        while let Some(word) = words.next() {
            options.take(&word, &mut words)?;
        }
        Ok(options)
    }

    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), String> {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "--subject" => self.subject = Some(value()?),
            "--table" => self.is_table = true,
            "--list" => self.is_list = true,
            "--exact" => self.is_exact = true,
            "--skip" => self.skip.push(value()?),
            "--test-threads" => self.threads = threads(&value()?)?,
            word if WITH_VALUE.contains(&word) => drop(value()?),
            word if word.starts_with('-') => {}
            filter => self.filters.push(filter.to_owned()),
        }
        Ok(())
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        let matches = |pattern: &String| if self.is_exact { name == pattern } else { name.contains(pattern) };
        (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skip.iter().any(matches)
    }
}

fn threads(text: &str) -> Result<usize, String> {
    text.parse().map(NonZero::get).map_err(|_| format!("{text} is no number of threads"))
}
