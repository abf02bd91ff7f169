//! Parser for `~/.aws/config` and `~/.aws/credentials`, compatible with AWS's own tools: sections of `key = value`.
//! Lines indented further than the preceding key are nested settings, which do not concern credentials and are
//! skipped.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// The sections of a file, by title.
#[derive(Debug, Default)]
pub struct Ini(BTreeMap<String, Section>);

/// The keys of a section. Values may be secret, so they are wiped.
#[derive(Default)]
pub struct Section(BTreeMap<String, Zeroizing<String>>);

/// A syntax error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IniError {
    /// The line number, starting at 1.
    pub line: usize,
    /// The cause.
    pub fault: IniFault,
}

/// The cause of a syntax error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IniFault {
    /// The line is not valid UTF-8.
    NotUtf8,
    /// A key precedes the first section.
    NoSection,
    /// A section title lacks its closing bracket.
    Title,
    /// The line is not `key = value`.
    NoKey,
}

impl Ini {
    /// Parses a file. If a key occurs twice, the later value wins.
    pub fn parse(bytes: &[u8]) -> Result<Self, IniError> {
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text(bytes)?.lines()) {
            reader.read(line).map_err(|fault| IniError { line: number, fault })?;
        }
        Ok(Self(reader.sections))
    }

    /// The section with this title.
    #[must_use]
    pub fn section(&self, title: &str) -> Option<&Section> {
        self.0.get(title)
    }

    /// The titles of all sections.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Section {
    /// The value of a key. An empty value counts as unset.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The section's keys, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Section {
    /// Shows only the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.keys()).finish()
    }
}

impl fmt::Display for IniFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotUtf8 => "it is not UTF-8",
            Self::NoSection => "a key stands before the first section",
            Self::Title => "the title of the section has no end",
            Self::NoKey => "it is not `key = value`",
        })
    }
}

/// Removes the byte order mark that Windows editors write.
fn text(bytes: &[u8]) -> Result<&str, IniError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to());
        IniError { line: 1 + before.filter(|byte| **byte == b'\n').count(), fault: IniFault::NotUtf8 }
    })
}

/// The state of the parser.
#[derive(Default)]
struct Reader {
    sections: BTreeMap<String, Section>,
    title: Option<String>,
    /// The indentation of the section's last key.
    indent: Option<usize>,
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<(), IniFault> {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.len() - line.trim_start().len();
        if self.indent.is_some_and(|of_key| indent > of_key) {
            return Ok(());
        }
        if let Some(rest) = content.strip_prefix('[') {
            return self.begin(rest);
        }
        self.indent = Some(indent);
        self.add(content)
    }

    fn begin(&mut self, rest: &str) -> Result<(), IniFault> {
        let (title, _) = rest.split_once(']').ok_or(IniFault::Title)?;
        self.sections.entry(title.trim().to_owned()).or_default();
        (self.title, self.indent) = (Some(title.trim().to_owned()), None);
        Ok(())
    }

    fn add(&mut self, content: &str) -> Result<(), IniFault> {
        let title = self.title.clone().ok_or(IniFault::NoSection)?;
        let (key, value) = content.split_once('=').ok_or(IniFault::NoKey)?;
        let key = key.trim().to_ascii_lowercase();
        // In `key: value`, the value may contain an equals sign.
        if key.is_empty() || key.contains(':') {
            return Err(IniFault::NoKey);
        }
        let section = self.sections.entry(title).or_default();
        section.0.insert(key, Zeroizing::new(value.trim().to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn value(text: &str, title: &str, key: &str) -> Option<String> {
        Ini::parse(text.as_bytes()).unwrap().section(title)?.get(key).map(str::to_owned)
    }

    fn fault(text: &[u8]) -> (usize, IniFault) {
        let error = Ini::parse(text).unwrap_err();
        (error.line, error.fault)
    }

    #[test]
    fn keys_belong_to_the_section_above_them() {
        let text =
            "# comment\n[default]\nregion=eu-west-1\n\n[profile a b]\n; comment\nREGION = us-east-1 \n";
        assert_eq!(value(text, "default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(value(text, "profile a b", "region").as_deref(), Some("us-east-1"));
        assert_eq!(value(text, "default", "output"), None);
        assert_eq!(value(text, "other", "region"), None);
    }

    #[test]
    fn a_byte_order_mark_and_line_ends_of_windows_change_nothing() {
        let text = "\u{feff}[default]\r\naws_access_key_id = AK\r\n\r\nregion = eu-west-1\r\n";
        assert_eq!(value(text, "default", "aws_access_key_id").as_deref(), Some("AK"));
        assert_eq!(value(text, "default", "region").as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn nested_settings_are_no_keys_of_the_profile() {
        let text = "[default]\ns3 =\n  region = nested\n  # comment\n\n  no key\nregion = own\n";
        assert_eq!(value(text, "default", "region").as_deref(), Some("own"));
        assert_eq!(value(text, "default", "s3"), None, "an empty value is not set");
    }

    #[test]
    fn a_section_may_be_indented_as_a_whole() {
        let text = "[default]\n  s3 =\n    region = nested\n  region = own\n [other]\n\toutput = json";
        assert_eq!(value(text, "default", "region").as_deref(), Some("own"));
        assert_eq!(value(text, "other", "output").as_deref(), Some("json"));
    }

    #[test]
    fn a_value_may_hold_anything_but_a_line_end() {
        let text = "[a]\ncredential_process = \"/opt/my tool\" --x=1 # no comment ; neither\n";
        let expected = "\"/opt/my tool\" --x=1 # no comment ; neither";
        assert_eq!(value(text, "a", "credential_process").as_deref(), Some(expected));
    }

    #[test]
    fn the_later_of_two_values_and_all_parts_of_a_section_count() {
        let text = "[a]\nx = 1\ny = 1\n[b]\n[a]\nx = 2\n";
        assert_eq!(value(text, "a", "x").as_deref(), Some("2"));
        assert_eq!(value(text, "a", "y").as_deref(), Some("1"));
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_alone() {
        assert_eq!(fault(b"\n\nx = canary"), (3, IniFault::NoSection));
        assert_eq!(fault(b"[a]\naws_secret_access_key: canary"), (2, IniFault::NoKey));
        assert_eq!(fault(b"[a]\naws_secret_access_key: canary=="), (2, IniFault::NoKey));
        assert_eq!(fault(b"[a]\n= canary"), (2, IniFault::NoKey));
        assert_eq!(fault(b"# x\n[profile a\n"), (2, IniFault::Title));
        assert_eq!(fault(b"[a]\nx = 1\ny = \xff\n"), (3, IniFault::NotUtf8));
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", Ini::parse(b"[a]\naws_secret_access_key = canary").unwrap());
        assert!(shown.contains("aws_secret_access_key") && !shown.contains("canary"), "{shown}");
    }

    prop_compose! {
        fn noise()(kind in 0..4, text in "[a-z =\\[\\];#]{0,20}") -> String {
            match kind {
                0 => format!("# {text}\n"),
                1 => format!("  ;{text}\r\n"),
                2 => "\n".to_owned(),
                _ => String::new(),
            }
        }
    }

    type Sections = BTreeMap<String, BTreeMap<String, String>>;

    fn sections() -> impl Strategy<Value = Sections> {
        let value = "([!-~]([ -~]{0,30}[!-~])?)?";
        let keys = proptest::collection::btree_map("[a-z_][a-z0-9_]{0,20}", value, 0..6);
        proptest::collection::btree_map("[a-z0-9]([ a-z0-9.@/-]{0,20}[a-z0-9])?", keys, 0..5)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(sections in sections(), noise in noise(), indent in 0_usize..4, end in "\r?\n") {
            let mut text = String::new();
            for (title, keys) in &sections {
                write!(text, "{noise}[{title}]{end}").unwrap();
                for (key, value) in keys {
                    let indent = " ".repeat(indent);
                    write!(text, "{noise}{indent}{key} = {value}{end}{indent}  nested = 1{end}").unwrap();
                }
            }
            let read = Ini::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.titles().collect::<Vec<_>>(), sections.keys().collect::<Vec<_>>());
            for (title, keys) in &sections {
                let section = read.section(title).unwrap();
                prop_assert_eq!(section.keys().collect::<Vec<_>>(), keys.keys().collect::<Vec<_>>());
                for (key, value) in keys {
                    prop_assert_eq!(section.get(key).unwrap_or_default(), value);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused_with_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Err(error) = Ini::parse(&bytes) {
                prop_assert!((1..=401).contains(&error.line));
            }
        }
    }
}
