//! What no lint finds: notes to self, and tests that quietly do nothing.

use xshell::cmd;

use crate::project;
use crate::run::{Result, capture};

/// A mark that opens a remark, in any case, or that stands in it in capitals. In quotes or backticks it is talked
/// about: placeholder values such as `TODO` are a subject of this project.
const NOTE: &str = r#"[/!# ]*(?i:todo|fixme|xxx)\b|.*(?<![\w"'`])(TODO|FIXME|XXX)(?![\w"'`])"#;
const CODE: &str = r#"^\s*#\[ignore|(?<![\w"'`])(todo|unimplemented|dbg)!\("#;

/// Looks through the sources and scripts, also those that git does not know yet.
pub(crate) fn guard() -> Result<String> {
    let rust = format!("//({NOTE})|{CODE}");
    let others = format!("#({NOTE})");
    let found = search(&rust, &["*.rs"])? + &search(&others, &["*.toml", "*.sh", "*.py", "*.yml", "*.yaml"])?;
    if found.is_empty() {
        return Ok(String::new());
    }
    print!("{found}");
    Err("there are notes, debug prints or ignored tests".into())
}

fn search(pattern: &str, files: &[&str]) -> Result<String> {
    let shell = project::shell()?;
    let line = cmd!(shell, "git grep --untracked --line-number --perl-regexp -e {pattern} -- {files...}");
    match capture(line)? {
        (status, found) if status.success() || status.code() == Some(1) => Ok(found),
        (status, problem) => Err(format!("git grep ended with {status}: {problem}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(line: &str) -> bool {
        let shell = project::shell().unwrap();
        let pattern = format!("//({NOTE})|{CODE}");
        // The hyphen keeps the marks out of this file.
        let line = line.replace('-', "");
        cmd!(shell, "grep -qP {pattern}").stdin(line).quiet().run().is_ok()
    }

    #[test]
    fn notes_debug_prints_and_ignored_tests_are_found() {
        for line in
            ["// TO-DO: later", "x(); // and a FIX-ME here", "  // fix-me", "  #[igno-re = 1]", "d-bg!(1)"]
        {
            assert!(is_found(line), "{line}");
        }
    }

    #[test]
    fn a_placeholder_that_is_talked_about_may_stay() {
        for line in ["/// such as `to-do` or `XX-X`", "let p = [\"to-do\", \"TO-DO\"];", "// 0xXX-XX", ""] {
            assert!(!is_found(line), "{line}");
        }
    }
}
