//! The names in an `.env.example` file. Values are ignored, since they are only examples.

/// The names, spelled as in the file.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(name)
}

fn name(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, _) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    Some(name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_assignment_has_a_name_and_comments_have_none() {
        let text = "# API_KEY=x\nexport API_KEY=changeme\nDEBUG=1\n DATABASE_URL = postgres://\nPORT\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["API_KEY", "DEBUG", "DATABASE_URL"]);
    }
}
