//! `.ci/optional`: the parts that CI may go without, each with its reason.

use std::fs;

use crate::project;

/// The file, one `name: reason` a line; lines that begin with `#` are comments.
pub(crate) struct Optional {
    entries: Vec<(String, String)>,
}

impl Optional {
    pub(crate) fn read() -> Result<Self, String> {
        let path = project::root().join(".ci/optional");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let entries = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(entry)
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    pub(crate) fn reason(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, reason)| reason.as_str())
    }
}

/// Names may contain `::`, so the reason begins at the first colon with a space behind it.
fn entry(line: &str) -> Result<(String, String), String> {
    line.split_once(": ")
        .map(|(name, reason)| (name.trim().to_owned(), reason.trim().to_owned()))
        .filter(|(name, reason)| !name.is_empty() && !reason.is_empty())
        .ok_or_else(|| format!(".ci/optional: `{line}` is not `name: reason`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_needs_a_reason() {
        assert!(Optional::parse("advisories").is_err());
        assert!(Optional::parse("advisories: ").is_err());
    }

    #[test]
    fn test_names_with_colons_are_names() {
        let optional = Optional::parse("# why\n\na::b: no engine: none at all\n").unwrap();
        assert_eq!(optional.reason("a::b"), Some("no engine: none at all"));
        assert_eq!(optional.reason("a"), None);
    }
}
