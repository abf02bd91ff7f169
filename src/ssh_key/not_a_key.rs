//! Why a value is no key that can be used, and what to do about it.

use std::fmt;

/// Why a value is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAKey {
    /// It is the base64 of a key's text.
    Base64,
    /// Its newlines were replaced by spaces.
    BlankLineEnds,
    /// It cannot be decoded, or its parts do not fit together.
    Damaged,
    /// DSA, which ssh does not offer any more.
    Dsa,
    /// Line ends are written as `\n`, two characters.
    EscapedLineEnds,
    /// It needs a passphrase.
    Passphrase,
    /// It is the public half.
    Public,
    /// It is in the format of `puttygen`.
    Putty,
    /// An RSA key that is shorter than ssh accepts.
    Short,
    /// It is in the format of RFC 4716, as ssh.com has it.
    Ssh2,
    /// Its first line exists, its last does not.
    Unclosed,
    /// Its first and last line are missing.
    Unframed,
    /// Something else.
    Unknown,
    /// A private key of a kind that ssh does not use.
    Unsupported,
    /// It is UTF-16.
    Utf16,
}

impl NotAKey {
    /// Sections of PEM that hold no private key that can be read.
    pub(super) fn of_label(label: &str) -> Self {
        match label {
            "DSA PRIVATE KEY" => Self::Dsa,
            "ENCRYPTED PRIVATE KEY" => Self::Passphrase,
            label if label.ends_with("PRIVATE KEY") => Self::Unsupported,
            label if label.ends_with("PUBLIC KEY") => Self::Public,
            _ => Self::Unknown,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::Base64 => "decode it before you store it: `base64 -d`",
            Self::BlankLineEnds | Self::EscapedLineEnds => {
                "write the key with real newlines, for example from the file itself"
            }
            Self::Damaged | Self::Unclosed => {
                "store the whole file again, and check it with `ssh-keygen -y -f key`"
            }
            Self::Dsa | Self::Short | Self::Unsupported => "create a new key: `ssh-keygen -t ed25519`",
            Self::Passphrase => "store a key without a passphrase: `ssh-keygen -p -N '' -f key`",
            Self::Public => "store the file without `.pub`",
            Self::Putty => "convert it: `puttygen key.ppk -O private-openssh -o key`",
            Self::Ssh2 => "convert it: `ssh-keygen -i -f key`",
            Self::Unframed => {
                "store the whole file, with the lines that begin with `-----BEGIN` and `-----END`"
            }
            Self::Unknown => "store the private key as `ssh-keygen` writes it",
            Self::Utf16 => "save it as UTF-8 without BOM",
        }
    }
}

impl fmt::Display for NotAKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Base64 => "is the base64 encoding of a private SSH key",
            Self::BlankLineEnds => "is a key whose newlines were replaced by spaces",
            Self::Damaged => "is not a private SSH key that can be read: it is damaged, or a part is missing",
            Self::Dsa => "is a DSA key, which ssh does not use since OpenSSH 7.0",
            Self::EscapedLineEnds => "is a key whose newlines are written as the two characters \\n",
            Self::Passphrase => "is passphrase protected",
            Self::Public => "is a public key",
            Self::Putty => "is a key in PuTTY's format",
            Self::Short => "is an RSA key of fewer than 1024 bits, which ssh does not use",
            Self::Ssh2 => "is a key in the SSH2 format of ssh.com",
            Self::Unclosed => "is not a private SSH key that can be read: its last line, `-----END`, is missing",
            Self::Unframed => "is a private SSH key without its first and last line",
            Self::Unknown => "is not a private SSH key",
            Self::Unsupported => {
                "is a private key that ssh cannot use; it uses RSA, Ed25519, and ECDSA on P-256, P-384 and P-521"
            }
            Self::Utf16 => "is UTF-16",
        })
    }
}
