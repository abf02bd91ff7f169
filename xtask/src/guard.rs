//! What no lint finds: notes to self, and tests that quietly do nothing.

use std::fs;

use crate::project;

const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
const CALLS: [&str; 3] = ["todo!(", "unimplemented!(", "dbg!("];

/// Looks through the sources and scripts; gives how many files it read, or every place that must not stay.
pub(crate) fn guard() -> Result<String, String> {
    let files = project::files(&project::root(), &["rs", "toml", "sh", "py", "yml", "yaml"]);
    let mut places = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let comment = if path.extension().is_some_and(|end| end == "rs") { "//" } else { "#" };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| must_not_stay(line, comment)) {
            places.push(format!("{}:{}: {}", project::relative(path), number + 1, line.trim()));
        }
    }
    for place in &places {
        println!("{place}");
    }
    if places.is_empty() {
        Ok(format!("{} files", files.len()))
    } else {
        Err(format!("{} notes, debug prints or ignored tests", places.len()))
    }
}

fn must_not_stay(line: &str, comment: &str) -> bool {
    let line = line.trim();
    if line.starts_with("#[ignore") {
        return true;
    }
    let (code, remark) = line.split_once(comment).unwrap_or((line, ""));
    CALLS.iter().any(|call| bare(code, call)) || is_note(remark)
}

/// A mark that opens a remark, in any case, or that stands in it in capitals. In quotes or backticks it is talked
/// about: placeholder values such as `TODO` are a subject of this project.
fn is_note(remark: &str) -> bool {
    let opens =
        remark.trim_start_matches(['/', '!', '#', ' ']).split(|char: char| !char.is_alphanumeric()).next();
    MARKS.iter().any(|mark| opens.is_some_and(|word| word.eq_ignore_ascii_case(mark)) || bare(remark, mark))
}

/// Whether `word` stands there by itself: not quoted, and not a piece of a longer word.
fn bare(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|start| start.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|end| end.chars().next());
        let joins = |char: char| char.is_alphanumeric() || "_`\"'".contains(char);
        !before.is_some_and(joins) && (word.ends_with('(') || !after.is_some_and(joins))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_debug_prints_and_ignored_tests_are_found() {
        let todo = MARKS[0];
        for line in [
            format!("// {todo}: later"),
            format!("x(); // and a {} here", MARKS[1]),
            format!("    // {}", MARKS[1].to_lowercase()),
            format!("let x = {}1);", CALLS[2]),
            "#[ignore = \"slow\"]".to_owned(),
        ] {
            assert!(must_not_stay(&line, "//"), "{line}");
        }
    }

    #[test]
    fn a_placeholder_that_is_talked_about_may_stay() {
        for line in
            ["/// such as `todo` or `XXX`", "const P: [&str; 2] = [\"todo\", \"TODO\"];", "// 0xXXXX", ""]
        {
            assert!(!must_not_stay(line, "//"), "{line}");
        }
    }
}
