//! JSON Web Tokens that openssl signs (RFC 7515).

use std::fs;
use std::path::PathBuf;

use e2e::program::{command, run};
use serde_json::{Value, json};

/// An issuer of tokens.
pub(crate) struct Issuer {
    directory: PathBuf,
}

impl Issuer {
    pub(crate) fn new(directory: PathBuf) -> Self {
        let issuer = Self { directory };
        let mut line = command("openssl", ["genrsa", "-out"]);
        run(line.arg(issuer.at("issuer.key")).arg("2048")).with(0);
        let mut line = command("openssl", ["rsa", "-pubout", "-in"]);
        run(line.arg(issuer.at("issuer.key")).arg("-out").arg(issuer.at("issuer.pub"))).with(0);
        issuer
    }

    pub(crate) fn public_key(&self) -> String {
        fs::read_to_string(self.at("issuer.pub")).unwrap()
    }

    /// As PEM.
    pub(crate) fn private_key(&self) -> String {
        fs::read_to_string(self.at("issuer.key")).unwrap()
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        let head = json!({"alg": "RS256", "typ": "JWT"}).to_string();
        let signed = format!("{}.{}", base64url(head.as_bytes()), base64url(claims.to_string().as_bytes()));
        let (input, signature) = (self.at("input"), self.at("signature"));
        fs::write(&input, &signed).unwrap();
        let mut line = command("openssl", ["dgst", "-sha256", "-sign"]);
        run(line.arg(self.at("issuer.key")).arg("-out").arg(&signature).arg(&input)).with(0);
        format!("{signed}.{}", base64url(&fs::read(signature).unwrap()))
    }

    fn at(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }
}

/// Without padding (RFC 4648, 5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let digit = |at: usize| DIGITS[(at * 6..at * 6 + 6).fold(0, |digit, at| digit << 1 | bit(at))];
    (0..(bytes.len() * 8).div_ceil(6)).map(|at| char::from(digit(at))).collect()
}
