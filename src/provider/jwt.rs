//! JSON Web Tokens that cryokey signs with a private RSA key to authenticate itself (RFC 7515, RFC 7523).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use zeroize::Zeroizing;

/// The signature algorithm (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

/// A private RSA key of 2048 to 8192 bits.
pub struct Signer(KeyPair);

/// The text contains no private RSA key of 2048 to 8192 bits in PEM, or the key is protected by a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAKey;

impl Signer {
    /// Parses the first private key in a PEM text, in PKCS #8 or PKCS #1 format.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NotAKey> {
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| NotAKey)? {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(NotAKey),
        };
        key.map(Self).map_err(|_| NotAKey)
    }

    /// Signs a token with these claims and, besides `alg` and `typ`, this header parameter. The token is a secret,
    /// since it authenticates its bearer. `None` if signing fails.
    #[must_use]
    pub fn sign(
        &self,
        algorithm: Algorithm,
        header: (&str, &str),
        claims: &impl Serialize,
    ) -> Option<Zeroizing<String>> {
        let (name, padding) = match algorithm {
            Algorithm::Rs256 => ("RS256", &RSA_PKCS1_SHA256),
            Algorithm::Ps256 => ("PS256", &RSA_PSS_SHA256),
        };
        let (key, value) = header;
        let header = serde_json::json!({ "alg": name, "typ": "JWT", key: value }).to_string();
        let claims = serde_json::to_vec(claims).ok()?;
        let mut token = Zeroizing::new(String::with_capacity(2 * (header.len() + claims.len()) + 2_048));
        token.push_str(&Base64UrlUnpadded::encode_string(header.as_bytes()));
        token.push('.');
        token.push_str(&Base64UrlUnpadded::encode_string(&claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        token.push_str(&Base64UrlUnpadded::encode_string(&signature));
        Some(token)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn a_token_has_three_parts_and_the_public_key_verifies_it() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        let signer = Signer(pair);
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
            let token =
                signer.sign(algorithm, ("kid", "1"), &serde_json::json!({"sub": "a"})).unwrap().to_string();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
            let verified = match algorithm {
                Algorithm::Rs256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
                    .verify(signed.as_bytes(), &signature),
                Algorithm::Ps256 => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &public)
                    .verify(signed.as_bytes(), &signature),
            };
            assert!(verified.is_ok(), "{algorithm:?}");
            let (header, claims) = signed.split_once('.').unwrap();
            let text = |part| String::from_utf8(Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap();
            assert!(text(header).contains(r#""kid":"1""#) && text(header).contains(r#""typ":"JWT""#));
            assert_eq!(text(claims), r#"{"sub":"a"}"#);
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let elliptic = include_bytes!("../../tests/data/id_ecdsa.pkcs8");
        let broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for pem in [b"".as_slice(), broken, elliptic] {
            assert!(matches!(Signer::from_pem(pem), Err(NotAKey)));
        }
    }
}
