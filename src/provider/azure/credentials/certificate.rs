//! Authenticates an application by its certificate, whose private key signs a token. Source: "Microsoft identity
//! platform application authentication certificate credentials", Microsoft Learn.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::error::IdentityError;
use crate::escape::escaped_path;
use crate::provider::files::error::FileError;
use crate::provider::jwt::{Algorithm, Signer};
use crate::provider::{Cause as _, ProviderError};
use crate::system::read;

/// The validity of a signed token in seconds. Entra accepts up to a day, but a token is used at once.
const VALIDITY: i64 = 600;

/// A certificate and its private key.
#[derive(Debug)]
pub struct Certificate {
    path: PathBuf,
    signer: Signer,
    /// The SHA-256 digest of the certificate, by which Entra identifies it; Base64url.
    thumbprint: String,
}

impl Certificate {
    /// Reads a PEM file that contains both.
    pub(super) fn read(path: &Path) -> Result<Self, ProviderError> {
        let place = || escaped_path(path) + " (AZURE_CLIENT_CERTIFICATE_PATH)";
        let unreadable = |error| FileError::from((error, rustix::fs::stat(path).ok().as_ref())).at(place());
        let pem = Zeroizing::new(read::read_path(path).map_err(unreadable)?.0);
        Self::of_pem(path, &pem).map_err(|error| error.at(place()))
    }

    fn of_pem(path: &Path, pem: &[u8]) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| IdentityError::NoCertificate)?;
        let signer = Signer::from_pem(pem).map_err(|_| IdentityError::NoKey)?;
        let thumbprint = Base64UrlUnpadded::encode_string(digest(&SHA256, &certificate).as_ref());
        Ok(Self { path: path.to_owned(), signer, thumbprint })
    }

    pub(super) fn label(&self) -> String {
        format!("the certificate in {}", escaped_path(&self.path))
    }

    /// Signs a token that authenticates the application at `url`, the token endpoint.
    pub(super) fn assertion(&self, application: &str, url: &str) -> Result<Zeroizing<String>, ProviderError> {
        let failed = || IdentityError::NoKey.at(escaped_path(&self.path));
        let now = Timestamp::now().as_second();
        let claims = serde_json::json!({
            "aud": url, "iss": application, "sub": application, "jti": unique().ok_or_else(failed)?,
            "nbf": now, "iat": now, "exp": now + VALIDITY,
        });
        self.signer.sign(Algorithm::Ps256, ("x5t#S256", &self.thumbprint), &claims).ok_or_else(failed)
    }
}

/// A random id for each token (RFC 7519 §4.1.7). Entra rejects an id that it has seen before.
fn unique() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(Base64UrlUnpadded::encode_string(&bytes))
}
