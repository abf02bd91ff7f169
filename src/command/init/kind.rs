//! Guesses from a secret's name how the app expects it.

/// Parts of names that indicate a secret. Those in the second list must match a whole word.
const SECRETS: [&str; 9] =
    ["CREDENTIAL", "DATABASE_URL", "DSN", "KEY", "PASSPHRASE", "PASSWORD", "REDIS_URL", "SECRET", "TOKEN"];
const SECRET_WORDS: [&str; 8] = ["AUTH", "CERT", "PASS", "PASSWD", "PAT", "PWD", "SALT", "URI"];

/// File extensions of keys and certificates, and words in the names of such files.
const EXTENSIONS: [&str; 13] = [
    ".asc",
    ".cer",
    ".crt",
    ".der",
    ".gpg",
    ".jks",
    ".key",
    ".keystore",
    ".p12",
    ".p8",
    ".pem",
    ".pfx",
    ".ppk",
];
const KEY_WORDS: [&str; 12] = [
    "CERT",
    "CERTIFICATE",
    "CRT",
    "KEYSTORE",
    "PEM",
    "PRIVATE_KEY",
    "PRIVKEY",
    "SSL_KEY",
    "TLS_KEY",
    "TRUSTSTORE",
    "SSL_CA",
    "TLS_CA",
];

/// Words that turn the name of a key into the name of its passphrase.
const PASSWORD_WORDS: [&str; 5] = ["PASS", "PASSPHRASE", "PASSWD", "PASSWORD", "PWD"];

/// Whether a variable of this name looks like a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRETS.iter().any(|word| name.contains(word)) || SECRET_WORDS.iter().any(|word| has_word(&name, word))
}

/// Whether programs usually expect it as a file: a private key, a certificate, a key store.
pub(super) fn is_key_file(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let upper = key.to_ascii_uppercase().replace(['-', '.'], "_");
    let has_any = |words: &[&str]| words.iter().any(|word| has_word(&upper, word));
    EXTENSIONS.iter().any(|extension| lower.ends_with(extension))
        || has_any(&KEY_WORDS) && !has_any(&PASSWORD_WORDS)
}

/// Whether it names an SSH private key: `SSH_KEY`, `DEPLOY_SSH_PRIVATE_KEY`, `ID_ED25519`.
pub(super) fn is_ssh_key(name: &str) -> bool {
    let ends = ["SSH_KEY", "SSH_PRIVATE_KEY", "ID_RSA", "ID_ED25519", "ID_ECDSA"];
    ends.iter().any(|end| name == *end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('_')))
}

fn has_word(name: &str, word: &str) -> bool {
    name.match_indices(word).any(|(at, _)| {
        let (before, rest) = name.split_at(at);
        let after = rest.strip_prefix(word).unwrap_or_default();
        (before.is_empty() || before.ends_with('_')) && (after.is_empty() || after.starts_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_secrets_are_known_and_others_are_not() {
        for name in ["DB_PASS", "GITHUB_PAT", "MONGO_URI", "api_key", "SESSION_SECRET"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["DEBUG", "PATTERN", "COMPASS", "PORT", "PATH"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn keys_and_certificates_are_told_from_other_secrets() {
        for key in ["tls_private_key", "server.key", "cert.pem", "client-cert", "app.P12"] {
            assert!(is_key_file(key), "{key}");
        }
        for key in
            ["secret_key", "api_key", "certainty", "keyboard", "keystore_password", "tls_key_passphrase"]
        {
            assert!(!is_key_file(key), "{key}");
        }
    }

    #[test]
    fn ssh_keys_are_told_from_other_keys() {
        assert!(
            ["SSH_KEY", "DEPLOY_SSH_KEY", "ID_RSA", "GIT_SSH_PRIVATE_KEY"]
                .iter()
                .all(|name| is_ssh_key(name))
        );
        assert!(
            !["SSH_KEY_PASSPHRASE", "SSH_HOST", "CROSSH_KEY", "API_KEY"].iter().any(|name| is_ssh_key(name))
        );
    }
}
