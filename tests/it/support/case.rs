//! The cases in `tests/cmd`: what is set up, a command line, and what is printed. See `tests/cmd/README.md`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{NOBODY, Test, canary, canary_url, chmod, is_root};

const KEY: &str = include_str!("../../data/id_ed25519");
const KEY_WITH_PASSPHRASE: &str = include_str!("../../data/id_ed25519.passphrase");

/// One file of `tests/cmd`.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    /// Everything up to the command line, with it.
    pub(crate) input: String,
    /// Everything after it.
    pub(crate) output: String,
    pub(crate) needs_root: bool,
    command: String,
}

/// All cases, by name.
pub(crate) fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let start = text.find("$ cryokey").unwrap_or_else(|| panic!("{} has no command", path.display()));
        let end = text[start..].find('\n').map_or(text.len(), |end| start + end + 1);
        let (input, output) = text.split_at(end);
        let needs_root = input.lines().any(|line| line.starts_with("as "));
        let command = input[start..].trim_start_matches("$ cryokey").trim().to_owned();
        Self { path, input: input.to_owned(), output: output.to_owned(), needs_root, command }
    }

    pub(crate) fn name(&self) -> String {
        self.path.file_stem().unwrap().to_string_lossy().into_owned()
    }

    pub(crate) fn is_run(&self) -> bool {
        self.command.starts_with("run")
    }

    /// Whether it sets up a value that must not be seen.
    pub(crate) fn has_value(&self) -> bool {
        ["{canary", "{url}", "{key", "{binary}"].iter().any(|placeholder| self.input.contains(placeholder))
    }

    /// The recorded exit code.
    pub(crate) fn code(&self) -> i32 {
        self.output.lines().last().unwrap().strip_prefix("exit ").unwrap().parse().unwrap()
    }

    /// The words of the command line, without the program.
    pub(crate) fn words(&self, test: &Test) -> Vec<OsString> {
        let directory = test.at("").display().to_string();
        let directory = directory.trim_end_matches('/');
        self.command.split_whitespace().map(|word| word.replace("{dir}", directory).into()).collect()
    }

    /// The sandbox as the case sets it up.
    pub(crate) fn test(&self) -> Test {
        let mut test = Test::new().without("CRYOKEY_LOG");
        if !self.needs_root {
            test = test.by_nobody();
        }
        let mut lines = self.input.lines().peekable();
        while let Some(line) = lines.next() {
            let mut block = String::new();
            while let Some(indented) = lines.peek().and_then(|line| line.strip_prefix("    ")) {
                block.push_str(indented);
                block.push('\n');
                lines.next();
            }
            test = set_up(test, line, &block).unwrap_or_else(|| panic!("{}: {line}", self.path.display()));
        }
        test
    }

    /// An output with short paths, and with the uid of the tests that root runs.
    pub(crate) fn shortened(text: &str, test: &Test) -> String {
        let directory = test.at("").display().to_string();
        let directory = directory.trim_end_matches('/');
        let mut text = text.to_owned();
        if let Some(run_dir) = test.run_dir_if_any() {
            text = text.replace(&run_dir.display().to_string(), "/run/app");
        }
        for (inside, short) in
            [("/secrets", "/run/secrets"), ("/home", "/home/app"), ("/work", "/app"), ("", "{dir}")]
        {
            text = text.replace(&format!("{directory}{inside}"), short);
        }
        if !is_root() {
            let uid = rustix::process::geteuid().as_raw();
            for before in ["uid ", "uid=", "uid: \""] {
                text = text.replace(&format!("{before}{uid}"), &format!("{before}{NOBODY}"));
            }
        }
        without_sizes(&text)
    }
}

/// The sizes of all strings together and of the kernel's limit depend on the machine.
fn without_sizes(text: &str) -> String {
    let Some((before, rest)) = text.split_once("arguments and environment have ") else {
        return text.to_owned();
    };
    let Some((_, rest)) = rest.split_once(';') else { return text.to_owned() };
    format!("{before}arguments and environment have N bytes in total, but the kernel allows N;{rest}")
}

/// One line of a case's set-up, with the indented block below it.
fn set_up(test: Test, line: &str, block: &str) -> Option<Test> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "" | "#" | "$" => test,
        "manifest" => test.manifest(block),
        "secret" => {
            let (name, mode, content) = file(rest, block)?;
            test.secret_with_mode(name, content, mode)
        }
        "file" => {
            let (path, mode, content) = file(rest, block)?;
            test.public_file(path, content, mode)
        }
        "link" => {
            let (path, target) = rest.split_once(" -> ")?;
            symlink(target, test.at(path)).ok()?;
            test
        }
        "directory" => {
            let (path, mode) = rest.split_once(' ').unwrap_or((rest, "0755"));
            fs::create_dir_all(test.at(path)).ok()?;
            chmod(&test.at(path), u32::from_str_radix(mode, 8).ok()?);
            test
        }
        "fifo" => {
            Command::new("mkfifo").arg(test.at(rest)).status().ok()?;
            test
        }
        "env" => {
            let (name, value) = rest.split_once('=')?;
            let directory = test.at("").display().to_string();
            let value = content(&value.replace("{dir}", directory.trim_end_matches('/')));
            test.variable(name, OsString::from_vec(value))
        }
        "unset" => test.without(rest),
        "run_dir" => test.in_run_dir(),
        "shell" => test.through_shell(rest),
        "as" => match rest {
            "nobody" => test.by_nobody(),
            "root" => test,
            "root without capabilities" => {
                test.through(["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
            }
            "PID 1" => test.through(["unshare", "--pid", "--fork", "--mount-proc"]),
            _ => return None,
        },
        _ => return None,
    })
}

/// `NAME MODE = CONTENT`, the mode 0444 if it is left out, or `NAME MODE` with the content indented below.
fn file<'a>(line: &'a str, block: &str) -> Option<(&'a str, u32, Vec<u8>)> {
    let (path, text) = line.split_once(" =").unwrap_or((line, ""));
    let (path, mode) = path.split_once(' ').unwrap_or((path, "0444"));
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some((path, u32::from_str_radix(mode, 8).ok()?, [content(text), block.as_bytes().to_vec()].concat()))
}

/// A text with placeholders and escapes as bytes.
fn content(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let placeholder = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        if let Some((value, after)) = placeholder.and_then(|(name, after)| Some((value(name)?, after))) {
            bytes.extend(value);
            rest = after;
        } else if let Some((value, after)) = escape(rest) {
            bytes.push(value);
            rest = after;
        } else {
            bytes.extend(first.to_string().into_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn escape(text: &str) -> Option<(u8, &str)> {
    let rest = text.strip_prefix('\\')?;
    let first = rest.chars().next()?;
    let after = rest.get(1..)?;
    match first {
        'n' => Some((b'\n', after)),
        'r' => Some((b'\r', after)),
        '0' => Some((0, after)),
        'x' => Some((u8::from_str_radix(after.get(..2)?, 16).ok()?, after.get(2..)?)),
        _ => None,
    }
}

/// The value of a placeholder. A canary must not appear in any output.
fn value(name: &str) -> Option<Vec<u8>> {
    if let Some(times) = name.strip_prefix("canary * ") {
        return Some(canary().repeat(times.parse().ok()?).into_bytes());
    }
    if let Some(days) = name.strip_suffix(" days ago") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        return Some((now - days.parse::<u64>().ok()? * 86_400 - 60).to_string().into_bytes());
    }
    Some(match name {
        "canary" => canary().into_bytes(),
        "url" => canary_url().into_bytes(),
        "binary" => (0..48_u8).map(|number| number.wrapping_mul(151) ^ 0xa5).collect(),
        "key" => KEY.into(),
        "key in one line" => KEY.replace('\n', "\\n").into_bytes(),
        "key cut" => KEY.chars().take(200).collect::<String>().into_bytes(),
        "key with passphrase" => KEY_WITH_PASSPHRASE.into(),
        "tomorrow" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
            (now + 86_400).to_string().into_bytes()
        }
        _ => return None,
    })
}
