//! How a value is written in a variable and in the manifest.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

/// How values of one type are written.
pub trait Syntax {
    type Value;

    /// The TOML type, as the parser names it.
    const TOML_TYPE: &'static str = "string";

    /// What to write, for the `fix` of a message.
    fn usage() -> String;

    fn from_text(text: &str) -> Option<Self::Value>;

    /// `; did you mean X?` for an invalid text, or nothing.
    #[must_use]
    fn hint(_text: &[u8]) -> String {
        String::new()
    }

    /// Bytes that are not UTF-8 are replaced, so that only free text accepts them.
    #[must_use]
    fn from_variable(bytes: &[u8]) -> Option<Self::Value> {
        Self::from_text(&String::from_utf8_lossy(bytes))
    }

    #[must_use]
    fn from_toml(value: &DeValue<'_>) -> Option<Self::Value> {
        value.as_str().and_then(Self::from_text)
    }

    /// Reading the result gives the same value.
    fn to_toml(value: &Self::Value) -> String;

    /// The JSON Schema of the TOML value.
    #[cfg(test)]
    #[must_use]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": Self::TOML_TYPE })
    }
}

/// true/false, 1/0, yes/no, on/off, in any case. Anything else is an error, so that a typo never means false.
#[derive(Debug)]
pub struct Boolean;

impl Syntax for Boolean {
    type Value = bool;
    const TOML_TYPE: &'static str = "boolean";

    fn usage() -> String {
        "true or false".into()
    }

    fn from_text(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    fn from_toml(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }

    fn to_toml(value: &bool) -> String {
        value.to_string()
    }
}

#[derive(Debug)]
pub struct Integer<const LEAST: u64, const MOST: u64 = { u64::MAX }>;

impl<const LEAST: u64, const MOST: u64> Syntax for Integer<LEAST, MOST> {
    type Value = u64;
    const TOML_TYPE: &'static str = "integer";

    fn usage() -> String {
        if MOST == u64::MAX {
            format!("a whole number, at least {LEAST}")
        } else {
            format!("a whole number from {LEAST} to {MOST}")
        }
    }

    fn from_text(text: &str) -> Option<u64> {
        text.parse().ok().filter(|number| (LEAST..=MOST).contains(number))
    }

    fn from_toml(value: &DeValue<'_>) -> Option<u64> {
        let integer = value.as_integer()?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|number| (LEAST..=MOST).contains(number))
    }

    fn to_toml(value: &u64) -> String {
        value.to_string()
    }

    #[cfg(test)]
    fn schema() -> serde_json::Value {
        let mut schema = serde_json::json!({ "type": Self::TOML_TYPE, "minimum": LEAST });
        if MOST < u64::MAX {
            schema["maximum"] = MOST.into();
        }
        schema
    }
}

#[derive(Debug)]
pub struct Text;

impl Syntax for Text {
    type Value = String;

    fn usage() -> String {
        "a string".into()
    }

    fn from_text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn to_toml(value: &String) -> String {
        quoted(value)
    }
}

/// Names separated by commas; in the manifest, an array.
#[derive(Debug)]
pub struct List;

impl Syntax for List {
    type Value = Vec<String>;
    const TOML_TYPE: &'static str = "array";

    fn usage() -> String {
        "an array of strings".into()
    }

    fn from_text(text: &str) -> Option<Vec<String>> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(items.map(str::to_owned).collect())
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Vec<String>> {
        value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
    }

    fn to_toml(value: &Vec<String>) -> String {
        let items: Vec<String> = value.iter().map(|item| quoted(item)).collect();
        format!("[{}]", items.join(", "))
    }

    #[cfg(test)]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": Self::TOML_TYPE, "items": { "type": "string" } })
    }
}

/// A path; in a variable, any bytes.
#[derive(Debug)]
pub struct Path;

impl Syntax for Path {
    type Value = PathBuf;

    fn usage() -> String {
        "a path".into()
    }

    fn from_text(text: &str) -> Option<PathBuf> {
        Self::from_variable(text.as_bytes())
    }

    fn from_variable(bytes: &[u8]) -> Option<PathBuf> {
        Some(bytes).filter(|bytes| !bytes.is_empty()).map(|bytes| OsStr::from_bytes(bytes).into())
    }

    fn to_toml(value: &PathBuf) -> String {
        quoted(&value.to_string_lossy())
    }
}

/// A path that must be absolute in the manifest, whose author does not know the working directory. In a variable it may
/// be relative.
#[derive(Debug)]
pub struct AbsolutePath;

impl Syntax for AbsolutePath {
    type Value = PathBuf;

    fn usage() -> String {
        "an absolute path".into()
    }

    fn from_text(text: &str) -> Option<PathBuf> {
        Path::from_text(text).filter(|path| path.is_absolute())
    }

    fn from_variable(bytes: &[u8]) -> Option<PathBuf> {
        Path::from_variable(bytes)
    }

    fn to_toml(value: &PathBuf) -> String {
        Path::to_toml(value)
    }
}

/// A whole number and its unit.
#[derive(Debug)]
pub struct TimeSpan;

/// In milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Syntax for TimeSpan {
    type Value = Duration;

    fn usage() -> String {
        "a whole number with a unit (ms, s, m, h, d), such as \"30s\"".into()
    }

    fn from_text(text: &str) -> Option<Duration> {
        let digits = text.len() - text.trim_start_matches(|first: char| first.is_ascii_digit()).len();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*length).map(Duration::from_millis)
    }

    /// In the largest unit that divides it.
    fn to_toml(value: &Duration) -> String {
        let milliseconds = value.as_millis();
        let is_exact = |length: u64| milliseconds > 0 && milliseconds.is_multiple_of(length.into());
        let (unit, length) = UNITS.into_iter().find(|(_, length)| is_exact(*length)).unwrap_or(("ms", 1));
        quoted(&format!("{}{unit}", milliseconds / u128::from(length)))
    }
}

/// A time span of whole days, at least one.
#[derive(Debug)]
pub struct Days;

impl Syntax for Days {
    type Value = Duration;

    fn usage() -> String {
        "a whole number of days, at least 1, such as \"90d\"".into()
    }

    fn from_text(text: &str) -> Option<Duration> {
        let is_whole = |span: &Duration| !span.is_zero() && span.as_secs().is_multiple_of(86_400);
        TimeSpan::from_text(text).filter(is_whole)
    }

    fn to_toml(value: &Duration) -> String {
        TimeSpan::to_toml(value)
    }
}

/// A type with a few values, each written as one word.
pub trait Choice: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn text(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| *word)
    }
}

impl<T: Choice> Syntax for T {
    type Value = T;

    fn usage() -> String {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }

    fn from_text(text: &str) -> Option<T> {
        T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    fn to_toml(value: &T) -> String {
        quoted(value.text())
    }

    #[cfg(test)]
    fn schema() -> serde_json::Value {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        serde_json::json!({ "type": Self::TOML_TYPE, "enum": words })
    }
}

/// A basic string (TOML 1.0, "String").
fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        // Writing to a String cannot fail.
        let _ = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            control if control.is_control() => write!(quoted, "\\u{:04X}", u32::from(control)),
            plain => write!(quoted, "{plain}"),
        };
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_what_people_write_and_nothing_else() {
        for text in ["true", "True", "1", "YES", "on"] {
            assert_eq!(Boolean::from_text(text), Some(true), "{text}");
        }
        for text in ["false", "FALSE", "0", "no", "Off"] {
            assert_eq!(Boolean::from_text(text), Some(false), "{text}");
        }
        for text in ["", "t", "y", "2", " true", "enabled"] {
            assert_eq!(Boolean::from_text(text), None, "{text}");
        }
    }

    fn in_toml<S: Syntax>(text: &str) -> Option<S::Value> {
        let document = format!("key = {text}");
        S::from_toml(toml::de::DeTable::parse(&document).unwrap().get_ref()["key"].get_ref())
    }

    #[test]
    fn an_integer_is_within_its_bounds() {
        type Percent = Integer<1, 100>;
        for (text, number) in [("1", Some(1)), ("100", Some(100)), ("0", None), ("101", None), ("-1", None)] {
            assert_eq!(Percent::from_text(text), number, "{text}");
            assert_eq!(in_toml::<Percent>(text), number, "{text}");
        }
    }

    #[test]
    fn toml_has_its_own_types() {
        assert_eq!(in_toml::<Boolean>("true"), Some(true));
        assert_eq!(in_toml::<Boolean>("\"true\""), None);
        assert_eq!(in_toml::<Integer<0>>("0x20"), Some(32));
        assert_eq!(in_toml::<Integer<0>>("\"32\""), None);
        assert_eq!(in_toml::<List>("[\"a,b\"]"), Some(vec!["a,b".to_owned()]));
        assert_eq!(in_toml::<List>("\"a,b\""), None);
        assert_eq!(in_toml::<Path>("\"\""), None);
    }

    #[test]
    fn a_duration_has_a_whole_number_and_a_unit() {
        assert_eq!(TimeSpan::from_text("30s"), Some(Duration::from_secs(30)));
        assert_eq!(TimeSpan::from_text("90d"), Some(Duration::from_hours(2160)));
        for text in ["", "30", "s", "-1s", "1.5s", "30 s", "99999999999999999999d", "30S"] {
            assert_eq!(TimeSpan::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_whole_and_at_least_one() {
        assert_eq!(Days::from_text("48h"), Some(Duration::from_hours(48)));
        for text in ["0d", "36h", "1s"] {
            assert_eq!(Days::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["30s", "90d", "1500ms", "2m", "36h", "0ms"] {
            let span = TimeSpan::from_text(text).unwrap();
            assert_eq!(TimeSpan::to_toml(&span), format!("\"{text}\""));
        }
    }

    #[test]
    fn only_the_manifest_asks_for_an_absolute_path() {
        assert_eq!(in_toml::<AbsolutePath>("\"run\""), None);
        assert_eq!(AbsolutePath::from_variable(b"run"), Some("run".into()));
    }
}
