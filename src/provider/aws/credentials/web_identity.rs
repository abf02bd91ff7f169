//! A role for a token of another identity provider, such as that of a Kubernetes service account (IRSA).

use std::path::PathBuf;

use super::error::IdentityError;
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::sigv4::Credentials;
use crate::provider::aws::sts::{self, Role};
use crate::provider::aws::wire::Wire;
use crate::provider::bootstrap::read_line;
use crate::provider::{Deadline, ProviderError};

/// The file that holds the token, and the role.
#[derive(Debug, Clone)]
pub struct WebIdentity {
    /// It is read at each sign-in, since the platform renews it.
    pub token_file: PathBuf,
    /// The role for it.
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
