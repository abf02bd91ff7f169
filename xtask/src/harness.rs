//! Reads what Rust's test harness printed: which tests ran, and how long each took.

#[derive(Default)]
pub(crate) struct Tally {
    passed: Vec<String>,
    failed: Vec<String>,
    times: Vec<(f64, String)>,
}

impl Tally {
    pub(crate) fn read(output: &str) -> Self {
        let mut tally = Self::default();
        let tests = output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
        for (name, end) in tests {
            if end.starts_with("ok") {
                tally.passed.push(name.to_owned());
            } else if end.starts_with("FAILED") {
                tally.failed.push(name.to_owned());
            }
            tally.times.extend(seconds(end).map(|seconds| (seconds, name.to_owned())));
        }
        tally.times.sort_by(|one, other| other.0.total_cmp(&one.0));
        tally
    }

    pub(crate) fn has(&self, part_of_a_name: &str) -> bool {
        self.passed.iter().chain(&self.failed).any(|name| name.contains(part_of_a_name))
    }

    /// How many passed, or which failed. A filter that matches nothing passes too, and proves nothing.
    pub(crate) fn verdict(&self) -> Result<String, String> {
        match (self.passed.len(), self.failed.as_slice()) {
            (0, []) => Err("no test ran".to_owned()),
            (passed, []) => Ok(format!("{passed} tests")),
            (passed, failed) => Err(format!("{passed} passed; failed: {}", failed.join(", "))),
        }
    }

    pub(crate) fn slowest(&self, count: usize) -> &[(f64, String)] {
        self.times.get(..count).unwrap_or(&self.times)
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
        let tally = Tally::read(
            "running 3 tests\ntest a::b ... ok <0.250s>\ntest c ... FAILED <1.500s>\ntest d ... ok\n",
        );
        assert_eq!(tally.verdict().unwrap_err(), "2 passed; failed: c");
        assert_eq!(tally.slowest(1), [(1.5, "c".to_owned())]);
        assert!(tally.has("a::") && !tally.has("e"));
        assert!(Tally::read("").verdict().is_err());
    }
}
