//! A role assumed with a web identity token, such as that of a Kubernetes service account (IRSA).

use std::path::PathBuf;

use super::error::IdentityError;
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::sigv4::Credentials;
use crate::provider::aws::sts::{self, Role};
use crate::provider::aws::wire::Wire;
use crate::provider::bootstrap::read_line;
use crate::provider::{Cause as _, Deadline, ProviderError};

/// A role, and the file that holds the token for it.
#[derive(Debug, Clone)]
pub struct WebIdentity {
    /// Read at every sign-in, since the platform rotates the token.
    pub token_file: PathBuf,
    /// The role to assume.
    pub role: Role,
}

impl WebIdentity {
    pub(super) fn label(&self) -> String {
        format!("the role {} by the token in {}", escaped(&self.role.arn), escaped_path(&self.token_file))
    }

    pub(super) fn obtain(&self, wire: &Wire, deadline: Deadline) -> Result<Credentials, ProviderError> {
        let token = read_line(&self.token_file)?;
        let token = token.ok_or_else(|| IdentityError::EmptyFile.at(escaped_path(&self.token_file)))?;
        sts::assume_role_with_web_identity(&self.role, token.secret(), wire, deadline)
    }
}
