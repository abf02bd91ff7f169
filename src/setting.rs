//! How a setting is written, the same in the manifest and in a variable.

use std::time::Duration;

use crate::manifest::{Deliver, Format, Undeclared};
use crate::secret::Newline;

/// What a duration looks like, for messages.
pub const DURATION: &str = "a number with a unit (ms, s, m, h, d), as \"30s\"";

/// A setting of the manifest that is one value, and its variable.
#[derive(Debug)]
pub struct Setting {
    /// The manifest's key.
    pub key: &'static str,
    /// The variable that wins over it.
    pub variable: &'static str,
    /// What is in force when neither says anything.
    pub default: &'static str,
}

/// Every setting that is one value or a list of names. The documentation's table is compared with this one.
pub const SETTINGS: &[Setting] = &[
    Setting { key: "allow_disk", variable: "CRYOKEY_ALLOW_DISK", default: "false" },
    Setting { key: "allow_plain_env", variable: "CRYOKEY_ALLOW_PLAIN_ENV", default: "false" },
    Setting { key: "keep_env", variable: "CRYOKEY_KEEP_ENV", default: "" },
    Setting { key: "name_prefix", variable: "CRYOKEY_NAME_PREFIX", default: "" },
    Setting { key: "run_dir", variable: "CRYOKEY_RUN_DIR", default: "" },
    Setting { key: "secrets_dir", variable: "CRYOKEY_SECRETS_DIR", default: "/run/secrets" },
    Setting { key: "start_timeout", variable: "CRYOKEY_START_TIMEOUT", default: "30s" },
    Setting { key: "strict_permissions", variable: "CRYOKEY_STRICT_PERMISSIONS", default: "false" },
    Setting { key: "undeclared", variable: "CRYOKEY_UNDECLARED", default: "deliver" },
];

/// The variable of a setting.
#[must_use]
pub fn variable(key: &str) -> &'static str {
    SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.variable)
}

/// true/false, 1/0, yes/no, on/off in any case; nothing else, so that `True` never means false.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number and its unit.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|first: char| first.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(milliseconds).map(Duration::from_millis)
}

/// The duration in the largest unit that needs no fraction.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// Names in a comma list.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// A setting with few possible values.
pub trait Choice: Copy + PartialEq + 'static {
    /// Each value and how it is written.
    const WORDS: &'static [(&'static str, Self)];

    /// The value that is written so.
    fn from_text(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    /// How a value is written.
    fn text(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| *word)
    }

    /// All of them, for messages.
    fn list() -> String {
        let words: Vec<String> = Self::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }
}

impl Choice for Deliver {
    const WORDS: &'static [(&'static str, Self)] =
        &[("env", Self::Env), ("file", Self::File), ("both", Self::Both), ("ssh", Self::Ssh)];
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("base64", Self::Base64),
        ("hex", Self::Hex),
        ("integer", Self::Integer),
        ("json", Self::Json),
        ("pem", Self::Pem),
        ("ssh-key", Self::SshKey),
        ("text", Self::Text),
        ("url", Self::Url),
    ];
}

impl Choice for Newline {
    const WORDS: &'static [(&'static str, Self)] = &[("strip-one", Self::StripOne), ("keep", Self::Keep)];
}

impl Choice for Undeclared {
    const WORDS: &'static [(&'static str, Self)] = &[("deliver", Self::Deliver), ("ignore", Self::Ignore)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_what_people_write_and_nothing_else() {
        for text in ["true", "True", "1", "YES", "on"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["false", "FALSE", "0", "no", "Off"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "t", "y", "2", " true", "enabled"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_has_a_whole_number_and_a_unit() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("90d"), Some(Duration::from_hours(2160)));
        for text in ["", "30", "s", "-1s", "1.5s", "30 s", "99999999999999999999d", "30S"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["30s", "90d", "1500ms", "2m", "36h", "0ms"] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(text));
        }
    }
}
