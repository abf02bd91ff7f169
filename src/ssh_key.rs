//! Private SSH keys as people store them: read, and mended where `ssh` would stumble.

use std::fmt;

use rustls_pki_types::pem::{SectionKind, from_buf};
use ssh_key::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

/// A private key as it will be written.
pub struct Key {
    text: Zeroizing<Vec<u8>>,
    public: Option<String>,
    kind: &'static str,
}

/// Why a value is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAKey {
    /// Line ends are written as `\n`, two characters.
    EscapedLineEnds,
    /// It needs a passphrase.
    Passphrase,
    /// It is the public half.
    Public,
    /// It is something else, or broken.
    Unknown,
}

impl Key {
    /// Reads a private key. Windows line ends are mended and the final line end is made sure of; the rest stays.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAKey> {
        let text = mended(bytes);
        let shown = std::str::from_utf8(&text).map_err(|_| NotAKey::Unknown)?;
        if shown.starts_with("ssh-") || shown.starts_with("ecdsa-") {
            return Err(NotAKey::Public);
        }
        if shown.contains("\\n") {
            return Err(NotAKey::EscapedLineEnds);
        }
        if shown.contains("Proc-Type: 4,ENCRYPTED") || shown.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(NotAKey::Passphrase);
        }
        let (kind, public) = match PrivateKey::from_openssh(shown) {
            Ok(key) if key.is_encrypted() => return Err(NotAKey::Passphrase),
            Ok(key) => (kind(&key.algorithm()).ok_or(NotAKey::Unknown)?, key.public_key().to_openssh().ok()),
            Err(_) => (older_kind(&text).ok_or(NotAKey::Unknown)?, None),
        };
        Ok(Self { text, public, kind })
    }

    /// The private half as it is written.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.text
    }

    /// The public half as `ssh-keygen` writes it, where it can be derived.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        self.public.as_deref()
    }

    /// The usual name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("id_{}", self.kind)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl NotAKey {
    /// What to do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::EscapedLineEnds => "write the key with real line ends, for example from the file itself",
            Self::Passphrase => "store a key without a passphrase: `ssh-keygen -p -N '' -f key`",
            Self::Public => "store the file without `.pub`",
            Self::Unknown => "store the private key as `ssh-keygen` writes it",
        }
    }
}

impl fmt::Display for NotAKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::EscapedLineEnds => "is a key whose line ends are written as the two characters \\n",
            Self::Passphrase => "is passphrase protected",
            Self::Public => "is a public key",
            Self::Unknown => "is not a private SSH key",
        })
    }
}

fn mended(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    let mut rest = bytes.trim_ascii().iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte != b'\r' || rest.peek() != Some(&&b'\n') {
            text.push(*byte);
        }
    }
    text.push(b'\n');
    text
}

/// The word in the names of key files (ssh-keygen(1)).
fn kind(algorithm: &Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Dsa => Some("dsa"),
        Algorithm::Ecdsa { .. } => Some("ecdsa"),
        Algorithm::Ed25519 => Some("ed25519"),
        Algorithm::Rsa { .. } => Some("rsa"),
        Algorithm::SkEcdsaSha2NistP256 => Some("ecdsa_sk"),
        Algorithm::SkEd25519 => Some("ed25519_sk"),
        _ => None,
    }
}

/// The kind of a key in one of the forms before OpenSSH's own: PKCS#1, SEC 1, PKCS#8 (RFC 8017, 5915, 5208).
fn older_kind(text: &[u8]) -> Option<&'static str> {
    /// Object identifiers as DER has them: rsaEncryption, ecPublicKey, Ed25519.
    const IDENTIFIERS: [(&[u8], &str); 3] = [
        (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], "rsa"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], "ecdsa"),
        (&[0x2b, 0x65, 0x70], "ed25519"),
    ];
    /// The algorithm stands before the key, within these first bytes.
    const HEAD: usize = 32;
    let (section, content) = from_buf(&mut &*text).ok()??;
    let content = Zeroizing::new(content);
    match section {
        SectionKind::RsaPrivateKey => Some("rsa"),
        SectionKind::EcPrivateKey => Some("ecdsa"),
        SectionKind::PrivateKey => {
            let head = content.get(..HEAD).unwrap_or(&content);
            let is_in_head =
                |identifier: &[u8]| head.windows(identifier.len()).any(|window| window == identifier);
            IDENTIFIERS.iter().find(|(identifier, _)| is_in_head(identifier)).map(|(_, kind)| *kind)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test and used nowhere else.
    const ED25519: &str = include_str!("../tests/data/id_ed25519");
    const RSA_PKCS1: &str = include_str!("../tests/data/id_rsa.pkcs1");
    const EC_PKCS8: &str = include_str!("../tests/data/id_ecdsa.pkcs8");
    const PASSPHRASE: &str = include_str!("../tests/data/id_ed25519.passphrase");

    fn kind_of(text: &str) -> Result<&'static str, NotAKey> {
        Key::parse(text.as_bytes()).map(|key| key.kind)
    }

    #[test]
    fn the_kind_names_the_file_in_every_form_that_openssh_reads() {
        assert_eq!(kind_of(ED25519), Ok("ed25519"));
        assert_eq!(kind_of(RSA_PKCS1), Ok("rsa"));
        assert_eq!(kind_of(EC_PKCS8), Ok("ecdsa"));
    }

    #[test]
    fn a28_a_missing_last_line_end_is_added() {
        let key = Key::parse(ED25519.trim_end().as_bytes()).unwrap();
        assert_eq!(&**key.text, ED25519.as_bytes());
        assert!(key.public.unwrap().starts_with("ssh-ed25519 "));
    }

    #[test]
    fn a29_windows_line_ends_are_mended_and_escaped_ones_are_refused() {
        let key = Key::parse(ED25519.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!(&**key.text, ED25519.as_bytes());
        assert_eq!(kind_of(&ED25519.replace('\n', "\\n")), Err(NotAKey::EscapedLineEnds));
    }

    #[test]
    fn a30_a_key_with_a_passphrase_is_refused_by_that_word() {
        assert_eq!(kind_of(PASSPHRASE), Err(NotAKey::Passphrase));
        let old = RSA_PKCS1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1);
        assert_eq!(kind_of(&old), Err(NotAKey::Passphrase));
    }

    #[test]
    fn what_is_no_private_key_is_said_to_be_what_it_is() {
        assert_eq!(kind_of("ssh-ed25519 AAAA x"), Err(NotAKey::Public));
        assert_eq!(kind_of("hunter2"), Err(NotAKey::Unknown));
        assert_eq!(kind_of(&ED25519.replace('b', "!")), Err(NotAKey::Unknown));
    }
}
