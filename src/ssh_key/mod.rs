//! Private SSH keys as people store them: read, and written as `ssh` reads them.
//!
//! What is written is made of the decoded bytes, not of the text that was found: line ends, line width, blank lines and
//! text around a key cannot reach `ssh`.

mod der;
mod envelope;
mod halves;
mod not_a_key;
mod pkcs;
mod text;

use std::fmt;

use zeroize::Zeroizing;

pub use not_a_key::NotAKey;

/// A private key as it will be written.
pub struct Key {
    text: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    kind: Kind,
}

/// What ssh has a file name for. DSA has none any more: OpenSSH does not offer such keys since 7.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ecdsa,
    EcdsaSk,
    Ed25519,
    Ed25519Sk,
    Rsa,
}

/// What the decoded bytes of a key say.
struct Content {
    kind: Kind,
    /// The public half in ssh's encoding (RFC 4253, 6.6).
    public: Vec<u8>,
    comment: Vec<u8>,
    /// The key in OpenSSH's own format, where it has to be converted.
    converted: Option<Zeroizing<Vec<u8>>>,
}

impl Key {
    /// Reads a private key, and mends what `ssh` would not read.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAKey> {
        let section = text::section(bytes)?;
        let content = match section.label {
            text::OPENSSH => envelope::read(&section.content),
            text::PKCS1 => pkcs::pkcs1(&section.content),
            text::SEC1 => pkcs::sec1(&section.content),
            text::PKCS8 => pkcs::pkcs8(&section.content),
            other => Err(NotAKey::of_label(other)),
        }?;
        let text = match &content.converted {
            Some(envelope) => text::written(text::OPENSSH, envelope),
            None => text::written(section.label, &section.content),
        };
        let public = text::public_line(&content);
        Ok(Self { text, public, kind: content.kind })
    }

    /// The private half as it is written.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.text
    }

    /// The public half as `ssh-keygen` writes it, with its line end.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The usual name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("id_{}", self.kind.word())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Kind {
    const ALL: [Self; 5] = [Self::Ecdsa, Self::EcdsaSk, Self::Ed25519, Self::Ed25519Sk, Self::Rsa];

    /// The word in the names of key files (ssh-keygen(1)).
    const fn word(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::EcdsaSk => "ecdsa_sk",
            Self::Ed25519 => "ed25519",
            Self::Ed25519Sk => "ed25519_sk",
            Self::Rsa => "rsa",
        }
    }
}

/// The names that key files have where no `path` says otherwise.
pub fn file_names() -> impl Iterator<Item = String> {
    Kind::ALL.into_iter().map(|kind| format!("id_{}", kind.word()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test and used nowhere else.
    const ED25519: &str = include_str!("../../tests/data/id_ed25519");
    const ED25519_PKCS8: &str = include_str!("../../tests/data/id_ed25519.pkcs8");
    const RSA_PKCS1: &str = include_str!("../../tests/data/id_rsa.pkcs1");
    const EC: &str = include_str!("../../tests/data/id_ecdsa");
    const EC_PKCS8: &str = include_str!("../../tests/data/id_ecdsa.pkcs8");
    const PASSPHRASE: &str = include_str!("../../tests/data/id_ed25519.passphrase");

    fn kind_of(text: impl AsRef<[u8]>) -> Result<&'static str, NotAKey> {
        Key::parse(text.as_ref()).map(|key| key.kind.word())
    }

    /// `text` is written as `expected`.
    fn assert_mended(text: impl AsRef<[u8]>, expected: &str) {
        let key = Key::parse(text.as_ref()).unwrap();
        assert_eq!(String::from_utf8_lossy(key.expose()), expected);
    }

    #[test]
    fn the_kind_names_the_file_in_every_form_that_openssh_reads() {
        assert_eq!(kind_of(ED25519), Ok("ed25519"));
        assert_eq!(kind_of(RSA_PKCS1), Ok("rsa"));
        assert_eq!(kind_of(EC_PKCS8), Ok("ecdsa"));
        assert_eq!(kind_of(EC), Ok("ecdsa"));
    }

    #[test]
    fn a_key_that_ssh_reads_is_written_as_it_is() {
        for key in [ED25519, RSA_PKCS1, EC_PKCS8, EC] {
            assert_mended(key, key);
        }
    }

    #[test]
    fn a28_a_missing_last_line_end_is_added() {
        assert_mended(ED25519.trim_end(), ED25519);
    }

    #[test]
    fn a29_windows_line_ends_are_mended_and_escaped_ones_are_refused() {
        assert_mended(ED25519.replace('\n', "\r\n"), ED25519);
        assert_eq!(kind_of(ED25519.replace('\n', "\\n")), Err(NotAKey::EscapedLineEnds));
        assert_eq!(kind_of(ED25519.replace('\n', "\\r\\n")), Err(NotAKey::EscapedLineEnds));
    }

    #[test]
    fn what_stands_around_and_between_the_lines_of_a_key_is_left_out() {
        for key in [ED25519, RSA_PKCS1, EC_PKCS8] {
            assert_mended(key.replace('\n', "\r"), key);
            assert_mended(key.replace('\n', "\n\n  "), key);
            assert_mended(format!("\u{feff}Bag Attributes\n    localKeyID: 01\nKEY=\"{key}\"\n# end"), key);
        }
    }

    #[test]
    fn lines_of_any_width_become_those_of_the_tools() {
        for key in [ED25519, RSA_PKCS1, EC_PKCS8] {
            let lines: Vec<&str> = key.lines().collect();
            let [first, body @ .., last] = lines.as_slice() else { panic!("{key}") };
            let body = body.concat();
            for width in [1, 3, 64, 70, 76, body.len()] {
                let characters: Vec<char> = body.chars().collect();
                let wrapped: Vec<String> =
                    characters.chunks(width).map(|line| line.iter().collect()).collect();
                assert_mended(format!("{first}\n{}\n{last}\n", wrapped.join("\n")), key);
            }
            assert_mended(format!("{first}{body}{last}"), key);
        }
    }

    #[test]
    fn ed25519_in_pkcs8_is_written_in_the_format_that_every_openssh_reads_and_always_the_same() {
        let key = Key::parse(ED25519_PKCS8.as_bytes()).unwrap();
        assert!(key.expose().starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert_mended(key.expose(), std::str::from_utf8(key.expose()).unwrap());
        assert_eq!(key.expose(), Key::parse(ED25519_PKCS8.as_bytes()).unwrap().expose());
        assert_eq!(key.public(), Key::parse(key.expose()).unwrap().public());
    }

    #[test]
    fn a30_a_key_with_a_passphrase_is_refused_by_that_word() {
        assert_eq!(kind_of(PASSPHRASE), Err(NotAKey::Passphrase));
        let old = RSA_PKCS1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1);
        assert_eq!(kind_of(old), Err(NotAKey::Passphrase));
        let new = EC_PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert_eq!(kind_of(new), Err(NotAKey::Passphrase));
    }

    #[test]
    fn what_is_no_private_key_is_said_to_be_what_it_is() {
        let lines: Vec<&str> = ED25519.lines().collect();
        let body = lines[1..lines.len() - 1].join("\n");
        let utf16: Vec<u8> = ED25519.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(Vec<u8>, NotAKey); 13] = [
            (b"ssh-ed25519 AAAA x".into(), NotAKey::Public),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".into(), NotAKey::Public),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), NotAKey::Unknown),
            (b"hunter2".into(), NotAKey::Unknown),
            (ED25519.replace('b', "!").into(), NotAKey::Damaged),
            (lines[..4].join("\n").into(), NotAKey::Unclosed),
            (
                <base64ct::Base64 as base64ct::Encoding>::encode_string(ED25519.as_bytes()).into(),
                NotAKey::Base64,
            ),
            (body.into(), NotAKey::Unframed),
            (ED25519.replace('\n', " ").into(), NotAKey::BlankLineEnds),
            (b"PuTTY-User-Key-File-3: ssh-ed25519\n".into(), NotAKey::Putty),
            (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n".into(), NotAKey::Ssh2),
            ([b"\xff\xfe", &utf16[..]].concat(), NotAKey::Utf16),
            (b"-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n".into(), NotAKey::Dsa),
        ];
        for (text, expected) in cases {
            assert_eq!(kind_of(&text), Err(expected), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn a_key_with_a_line_lost_or_a_letter_changed_is_refused() {
        for key in [ED25519, ED25519_PKCS8, EC_PKCS8, EC] {
            let lines: Vec<&str> = key.lines().collect();
            for lost in 1..lines.len() - 1 {
                let rest: Vec<&str> = (0..lines.len()).filter(|at| *at != lost).map(|at| lines[at]).collect();
                assert_eq!(kind_of(rest.join("\n")), Err(NotAKey::Damaged), "{key} without line {lost}");
            }
        }
        // The last letters of the private part, before the comment.
        let changed = ED25519.replacen(&ED25519[250..254], "AbCd", 1);
        assert_ne!(changed, ED25519);
        assert_eq!(kind_of(changed), Err(NotAKey::Damaged));
    }
}
