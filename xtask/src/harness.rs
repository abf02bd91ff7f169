//! Reads what Rust's test harness prints: counts, and how long each test took.

/// Everything that one `cargo test` said about its tests.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: Vec<String>,
    times: Vec<(f64, String)>,
}

impl Tally {
    /// Takes one line of output; lines that are not the harness's are nothing to it.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((name, end)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) else {
            return;
        };
        if end.starts_with("ok") {
            self.passed += 1;
        } else if end.starts_with("FAILED") {
            self.failed.push(name.to_owned());
        }
        if let Some(seconds) = seconds(end) {
            self.times.push((seconds, name.to_owned()));
        }
    }

    /// Whether no test ran at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed.is_empty()
    }

    /// For the table: how many passed, or which failed.
    pub(crate) fn summary(&self) -> String {
        if self.failed.is_empty() {
            format!("{} tests", self.passed)
        } else {
            format!("{} passed; failed: {}", self.passed, self.failed.join(", "))
        }
    }

    /// The slowest first.
    pub(crate) fn slowest(&self, count: usize) -> Vec<(f64, String)> {
        let mut times = self.times.clone();
        times.sort_by(|one, other| other.0.total_cmp(&one.0));
        times.truncate(count);
        times
    }
}

/// `ok <0.123s>`
fn seconds(end: &str) -> Option<f64> {
    end.split_once('<')?.1.strip_suffix("s>")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_harness_are_counted_and_timed() {
        let mut tally = Tally::default();
        for line in
            ["running 3 tests", "test a::b ... ok <0.250s>", "test c ... FAILED <1.500s>", "test d ... ok"]
        {
            tally.read(line);
        }
        assert_eq!(tally.summary(), "2 passed; failed: c");
        assert_eq!(tally.slowest(1), [(1.5, "c".to_owned())]);
    }
}
