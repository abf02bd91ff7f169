//! Checks values: format, length, placeholders.

use base64ct::Encoding as _;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::Findings;
use super::pem::is_pem;
use crate::delivery::Delivery;
use crate::error::{Problem, Reason};
use crate::manifest::{Deliver, Format};
use crate::resolve::{Accepted, Resolution};
use crate::ssh_key::Key;
use crate::syntax::Choice as _;

/// A value is a placeholder if it equals one of these as a whole, in any case.
pub const PLACEHOLDERS: &[&str] = &[
    "<password>",
    "<secret>",
    "change-me",
    "change_me",
    "changeit",
    "changeme",
    "example",
    "fixme",
    "placeholder",
    "replace-me",
    "replace_me",
    "replaceme",
    "tbd",
    "todo",
    "xxx",
    "xxxx",
    "xxxxx",
    "xxxxxxxx",
    "your-password",
    "your-secret",
    "your-secret-key",
    "your-secret-value",
    "your_secret_key",
    "yourpassword",
    "yoursecret",
];

/// Reports values that break their rule: an error for required secrets, a warning for optional ones.
pub fn judge(resolution: &Resolution, delivery: &Delivery<'_>, findings: &mut Findings) {
    for secret in resolution.accepted().filter(|secret| !secret.variable_bytes().is_empty()) {
        if let Some(why) = delivery.not_a_key(secret.name.as_str()) {
            // It cannot be delivered, so it is an error even if the secret is optional.
            findings.errors.push(Broken::rule(why.to_string(), why.fix()).problem(secret));
        } else if let Some(broken) = broken_rule(secret) {
            findings.add(secret.rule.required, broken.problem(secret));
        }
        findings.warnings.extend(oddities(secret));
    }
}

struct Broken {
    what: String,
    fix: String,
    reason: Reason,
}

impl Broken {
    fn rule(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into(), reason: Reason::Format }
    }

    fn problem(self, secret: Accepted<'_>) -> Problem {
        let name = secret.name.as_str();
        let what = format!("{name} ({}) {}", secret.tried.label(), self.what);
        Problem::new(self.reason, name, what, self.fix)
    }
}

fn broken_rule(secret: Accepted<'_>) -> Option<Broken> {
    if secret.rule.deliver == Deliver::Ssh {
        return None;
    }
    let bytes = secret.variable_bytes();
    // As a variable it is refused for its NUL bytes, required or not.
    let is_variable = matches!(secret.rule.deliver, Deliver::Env | Deliver::Both);
    if secret.value.secret.is_utf16() {
        if is_variable || secret.rule.format.is_none() {
            return None;
        }
        return Some(Broken::rule("is UTF-16", "save the file as UTF-8 without BOM"));
    }
    if let Some(length) = secret.rule.min_length.filter(|length| (bytes.len() as u64) < *length) {
        return Some(Broken::rule(
            format!("is shorter than {length} bytes"),
            "use a longer value, or lower `min_length` in the manifest",
        ));
    }
    if is_placeholder(bytes) {
        let fix = "replace it with the real value; docs/rules.md lists the placeholders";
        return Some(Broken { reason: Reason::Placeholder, ..Broken::rule("is a placeholder", fix) });
    }
    secret.rule.format.and_then(|format| check(format, bytes))
}

fn is_placeholder(bytes: &[u8]) -> bool {
    let longest = PLACEHOLDERS.iter().map(|word| word.len()).max().unwrap_or_default();
    bytes.len() <= longest && PLACEHOLDERS.iter().any(|word| bytes.eq_ignore_ascii_case(word.as_bytes()))
}

fn check(format: Format, bytes: &[u8]) -> Option<Broken> {
    let why = match format {
        Format::Base64 => (!is_base64(bytes)).then(|| "is not base64".to_owned()),
        Format::Hex => (!is_hex(bytes)).then(|| "is not an even number of hexadecimal digits".to_owned()),
        Format::Integer => (!is_integer(bytes)).then(|| "is not a whole number".to_owned()),
        Format::Json => json_error(bytes),
        Format::Pem => (!is_pem(bytes)).then(|| "does not contain a complete PEM section".to_owned()),
        Format::SshKey => Key::parse(bytes).err().map(|why| why.to_string()),
        Format::Text => std::str::from_utf8(bytes)
            .err()
            .map(|error| format!("is not UTF-8 at byte {}", error.valid_up_to())),
        Format::Url => url_error(bytes).map(str::to_owned),
    }?;
    Some(Broken::rule(
        why,
        format!("correct the value, or remove `format = \"{}\"` from the manifest", format.text()),
    ))
}

/// Standard or URL alphabet, with or without padding. Encoders insert newlines, so white space is ignored.
fn is_base64(bytes: &[u8]) -> bool {
    let text: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let Ok(text) = std::str::from_utf8(&text) else { return false };
    let unpadded = text.trim_end_matches('=');
    if text.len() != unpadded.len() && !text.len().is_multiple_of(4) {
        return false;
    }
    let decoded = base64ct::Base64Unpadded::decode_vec(unpadded)
        .or_else(|_| base64ct::Base64UrlUnpadded::decode_vec(unpadded))
        .map(Zeroizing::new);
    decoded.is_ok()
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(2) && bytes.iter().all(u8::is_ascii_hexdigit)
}

fn is_integer(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// The position of the first error. The parser's own text can quote the value, so it is dropped.
fn json_error(bytes: &[u8]) -> Option<String> {
    let error = serde_json::from_slice::<IgnoredAny>(bytes).err()?;
    Some(format!("is not JSON at line {}, column {}", error.line(), error.column()))
}

/// A scheme as in RFC 3986, `://`, and something after it. Connection strings are not strict URLs (several hosts, raw
/// characters in passwords), so nothing more is checked.
fn url_error(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\"") || bytes.starts_with(b"'") {
        return Some("is not a URL: it begins with a quotation mark");
    }
    let Some(at) = bytes.windows(3).position(|window| window == b"://") else {
        return Some("is not a URL: it does not contain `://`");
    };
    let (scheme, rest) = bytes.split_at(at);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme {
        return Some("is not a URL: the part before `://` is not a valid scheme");
    }
    if rest.len() == b"://".len() {
        return Some("is not a URL: nothing follows `://`");
    }
    let is_bad = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
    rest.iter().any(is_bad).then_some("is not a URL: it contains white space or control characters")
}

/// What is valid, but seldom intended.
fn oddities(secret: Accepted<'_>) -> Vec<Problem> {
    let name = secret.name.as_str();
    let mut odd = Vec::new();
    if secret.value.secret.expose().starts_with(b"\xef\xbb\xbf") {
        odd.push(Problem::new(
            Reason::ByteOrderMark,
            name,
            format!("{name} begins with a byte order mark, which the app receives too"),
            "save the file as UTF-8 without a byte order mark",
        ));
    }
    let is_variable = matches!(secret.rule.deliver, Deliver::Env | Deliver::Both);
    let is_stored = secret.tried.candidate.source.is_for_secrets();
    if is_variable && is_stored && secret.value.secret.line_end() == Some("\r\n") {
        odd.push(Problem::new(
            Reason::CarriageReturn,
            name,
            format!("{name} ends in CRLF"),
            "save the file with Unix newlines (LF); one trailing newline is stripped either way",
        ));
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(format: Format, good: &[&[u8]], bad: &[&[u8]]) {
        for bytes in good {
            assert!(check(format, bytes).is_none(), "{format:?} {:?}", String::from_utf8_lossy(bytes));
        }
        for bytes in bad {
            assert!(check(format, bytes).is_some(), "{format:?} {:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_url_is_scheme_and_something() {
        passes(
            Format::Url,
            &[
                b"https://x.supabase.co",
                b"postgres://u:p@ss#w%rd@h1,h2:5432/db",
                b"redis+socket:///tmp/s",
                b"file:///x",
            ],
            &[
                b"x.supabase.co",
                b"://x",
                b"https://",
                b"1ab://x",
                b"https://a b",
                b"https://a\nb",
                b"ht tp://x",
            ],
        );
    }

    #[test]
    fn hex_and_integer_and_base64() {
        passes(Format::Hex, &[b"00fF", b""], &[b"0", b"0g", b"0x00"]);
        passes(
            Format::Integer,
            &[b"0", b"-12", b"+7", b"12345678901234567890123"],
            &[b"", b"-", b"1.5", b"1 ", b"0x1"],
        );
        passes(
            Format::Base64,
            &[b"YQ==", b"YQ", b"-_-_", b"+/+/", b"YWJj\nZGVm\n"],
            &[b"YQ=", b"Y", b"Y!==", b"\xff\xff", b"+_+_"],
        );
    }

    #[test]
    fn json_is_checked_to_its_end_and_the_error_quotes_nothing() {
        passes(Format::Json, &[b"{\"a\":1e400}", b"123", b"\"x\""], &[b"{", b"{} x", b"canary"]);
        let why = json_error(b"{\"canary-canary").unwrap();
        assert!(!why.contains("canary"), "{why}");
    }

    #[test]
    fn pem_needs_one_whole_section() {
        let section = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let old =
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nYQ==\n-----END RSA PRIVATE KEY-----";
        passes(
            Format::Pem,
            &[section, &[section.as_slice(), section].concat(), old],
            &[
                b"",
                b"YQ==",
                b"-----BEGIN CERTIFICATE-----\nMAA=\n",
                b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END PRIVATE KEY-----\n",
                b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            ],
        );
    }

    #[test]
    fn a32_a_placeholder_is_the_whole_value_in_any_case() {
        assert!(is_placeholder(b"ChangeMe") && is_placeholder(b"TODO"));
        assert!(!is_placeholder(b"changeme1") && !is_placeholder(b"a todo"));
        assert!(PLACEHOLDERS.is_sorted());
    }
}
