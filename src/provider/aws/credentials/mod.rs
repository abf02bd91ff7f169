//! Signing in at AWS: where the key that signs requests comes from.

use std::fmt;

use crate::secret::Secret;

/// What requests are signed with.
pub struct Credentials {
    /// Which key it is.
    pub access_key_id: Secret,
    /// The key.
    pub secret_access_key: Secret,
    /// What belongs to a key that was made for a time.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(hidden)")
    }
}
