//! What is sent to the API server.

use std::sync::Arc;

use crate::provider::tls::{Identity, Pem, PemText};
use crate::secret::Secret;

/// What proves who cryokey is.
#[derive(Debug, Default)]
pub struct Credential {
    /// The bearer token.
    pub token: Option<Secret>,
    /// The client certificate.
    pub identity: Option<Identity>,
}

impl Credential {
    /// The certificate and key that a program printed.
    pub(super) fn printed(certificate: Secret, key: Secret) -> Identity {
        let text = |text, named_by| Pem::Text(PemText { text: Arc::new(text), named_by });
        Identity {
            certificate: text(certificate, "clientCertificateData"),
            key: text(key, "clientKeyData"),
            named_by: "the client certificate and key",
        }
    }
}

/// A token that can be sent in a header.
pub(super) fn bearer(token: &str) -> Option<Secret> {
    let is_legal = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_legal.then(|| Secret::new(token.as_bytes().to_vec()))
}
