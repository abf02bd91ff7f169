//! `credential_process`: an external program that prints credentials.

use std::fmt;

use jiff::Timestamp;

use super::profile_error::ProfileError;
use super::shared::Said;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::helper::{self, Variables};
use crate::provider::json::Json;
use crate::provider::{Cause, Deadline, Kind, ProviderError};

/// A program, and the profile that configures it.
pub(super) struct Helper {
    profile: String,
    program: helper::Helper,
}

impl Helper {
    /// The `credential_process` of a profile; `None` if it has none.
    pub(super) fn of(said: Said<'_>, environment: &Variables) -> Result<Option<Self>, ProviderError> {
        const KEY: &str = "credential_process";
        let Some(line) = said.get(KEY) else { return Ok(None) };
        if let Some(file) = said.foreign(KEY) {
            return Err(ProfileError::Foreign { file }.at(said.shown()));
        }
        let wrong = ProfileError::Value { key: KEY, expected: "a command line: a quotation mark is missing" };
        let words = split(line).ok_or_else(|| wrong.at(said.shown()))?;
        let program = helper::Helper { words, environment: environment.clone(), more: Vec::new() };
        Ok(Some(Self { profile: said.shown(), program }))
    }

    /// Runs the program and parses its output.
    pub(super) fn obtain(&self, deadline: Deadline) -> Result<Credentials, ProviderError> {
        let output = self.program.run(deadline).map_err(|error| ProviderError::new(self.place(), error))?;
        credentials(&output, Timestamp::now()).map_err(|error| ProviderError::new(self.place(), error))
    }

    /// The program without its arguments, which may be secret.
    fn place(&self) -> String {
        format!("`{}`, the credential_process of the AWS profile `{}`", self.program.program(), self.profile)
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Helper").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Parses the output. Source: "Process credential provider", AWS SDKs and Tools Reference Guide.
fn credentials(output: &[u8], now: Timestamp) -> Result<Credentials, ProcessError> {
    let json = Json::parse(output).ok_or(ProcessError::NoCredentials)?;
    let is_known = json.at(&["Version"]).and_then(Json::integer) == Some(1);
    if !is_known {
        return Err(ProcessError::Version);
    }
    let present = |name| json.at(&[name]).filter(|json| !json.is_null());
    let member = |name| present(name)?.secret().filter(|secret| !secret.expose().is_empty());
    if let Some(expiration) = present("Expiration") {
        let expiration = expiration.text().and_then(|text| text.parse::<Timestamp>().ok());
        if expiration.ok_or(ProcessError::NoCredentials)? <= now {
            return Err(ProcessError::Expired);
        }
    }
    Ok(Credentials {
        access_key_id: member("AccessKeyId").ok_or(ProcessError::NoCredentials)?,
        secret_access_key: member("SecretAccessKey").ok_or(ProcessError::NoCredentials)?,
        session_token: member("SessionToken"),
    })
}

/// Splits a command line into words by the quoting rules of a POSIX shell, without expansions. `None` if there is no
/// word, or a quotation is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match character {
            '\'' => quoted(&mut rest, word)?,
            '"' => double_quoted(&mut rest, word)?,
            '\\' => word.push(rest.next()?),
            _ => word.push(character),
        }
    }
    words.extend(word);
    Some(words).filter(|words| words.first().is_some_and(|program| !program.is_empty()))
}

fn quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '\'' => return Some(()),
            character => word.push(character),
        }
    }
}

/// Within double quotes, a backslash escapes only a double quote or a backslash.
fn double_quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => match rest.next()? {
                character @ ('"' | '\\') => word.push(character),
                character => word.extend(['\\', character]),
            },
            character => word.push(character),
        }
    }
}

/// Why a program's output contains no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessError {
    NoCredentials,
    Version,
    Expired,
}

impl Cause for ProcessError {
    fn kind(&self) -> Kind {
        match self {
            Self::Expired => Kind::Denied,
            Self::NoCredentials | Self::Version => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NoCredentials => format!("{place}, printed no credentials in the form of AWS"),
            Self::Version => format!("{place}, printed no credentials of `Version` 1"),
            Self::Expired => format!("{place}, printed credentials that have expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoCredentials | Self::Version => {
                "let it print JSON with `Version` 1, `AccessKeyId` and `SecretAccessKey`".into()
            }
            Self::Expired => "renew what it signs in with, or its cache".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn script(text: &str) -> Helper {
        let words = ["sh", "-c", text].map(str::to_owned).to_vec();
        let environment = vec![("PATH".as_ref(), "/usr/bin:/bin".as_ref())];
        Helper { profile: "a".into(), program: helper::Helper { words, environment, more: Vec::new() } }
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn judge(json: &str) -> Result<String, ProcessError> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let keys = credentials(json.as_bytes(), now)?;
        let all = [Some(&keys.access_key_id), Some(&keys.secret_access_key), keys.session_token.as_ref()];
        let text = |secret: &crate::secret::Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
        Ok(all.into_iter().flatten().map(text).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn credentials_are_what_awss_tools_take() {
        let with = |rest| judge(&format!(r#"{{"Version":1,"AccessKeyId":"A","SecretAccessKey":"B"{rest}}}"#));
        assert_eq!(with("").unwrap(), "A B");
        assert_eq!(with(r#","SessionToken":"C","Expiration":"2026-01-01T00:00:01+00:00""#).unwrap(), "A B C");
        assert_eq!(with(r#","SessionToken":null,"Expiration":null"#).unwrap(), "A B");
        assert_eq!(with(r#","Expiration":"2026-01-01T00:00:00Z""#), Err(ProcessError::Expired));
        assert_eq!(with(r#","Expiration":"tomorrow""#), Err(ProcessError::NoCredentials));
        assert_eq!(judge(r#"{"Version":2}"#), Err(ProcessError::Version));
        assert_eq!(judge("{}"), Err(ProcessError::Version));
        assert_eq!(judge(r#"{"Version":1,"AccessKeyId":"A"}"#), Err(ProcessError::NoCredentials));
        assert_eq!(judge("canary"), Err(ProcessError::NoCredentials));
    }

    #[test]
    fn no_message_shows_arguments_or_output() {
        let told = script("echo canary; exit 1").obtain(soon()).unwrap_err();
        let told = format!("{told} {told:?} {}", told.fix());
        assert!(told.contains("`sh`") && !told.contains("canary"), "{told}");
        assert!(!format!("{:?}", script("canary")).contains("canary"));
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_and_nothing_is_expanded() {
        let cases: &[(&str, &[&str])] = &[
            (" a  b\tc ", &["a", "b", "c"]),
            (r#""/opt/my tool" --x='a "b"' \"c"#, &["/opt/my tool", r#"--x=a "b""#, "\"c"]),
            (r#"a"b"'c'\ d ''"#, &["abc d", ""]),
            (r#""\$x \" \\ \n""#, &[r#"\$x " \ \n"#]),
            ("a $(b) `c` | d > ~/e # f", &["a", "$(b)", "`c`", "|", "d", ">", "~/e", "#", "f"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), *words, "{line}");
        }
        for line in ["", "  ", "a 'b", "a \"b", "\"a\\", "a\\", "'' a"] {
            assert!(split(line).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^']{1,20}", 1..6)) {
            let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line), Some(words));
        }

        #[test]
        fn any_line_is_split_or_refused(line in "[ab \"'\\\\\t$]{0,30}") {
            let _ = split(&line);
        }
    }
}
