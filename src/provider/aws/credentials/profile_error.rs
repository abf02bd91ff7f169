//! Why a profile of the shared files cannot be used.

use super::ini::IniError;
use crate::provider::{Cause, Kind};
use crate::system::read::ReadError;

/// The causes. Unless noted otherwise, the place is a profile's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProfileError {
    /// The file cannot be read. The place is its path.
    Unreadable(ReadError),
    /// The file has a syntax error. The place is its path.
    Line(IniError),
    /// The profile does not exist.
    Unknown {
        /// The files that were searched.
        searched: String,
        /// A similar name, as a clause for the message.
        near: String,
    },
    /// A required key is missing.
    Lacks {
        /// The missing key.
        key: &'static str,
        /// The key that requires it.
        needed_by: &'static str,
    },
    /// A role with neither `source_profile` nor `credential_source`.
    NoSource,
    /// A role with both.
    TwoSources,
    /// An unknown `credential_source`.
    Source {
        /// The value, escaped.
        word: String,
    },
    /// A `source_profile` that forms a cycle.
    Loop,
    /// The chain of profiles is too long.
    TooDeep,
    /// A `source_profile` without credentials.
    Empty,
    /// A role with `mfa_serial`, which requires a one-time code.
    Mfa,
    /// An invalid value.
    Value {
        /// The key.
        key: &'static str,
        /// The expected kind of value.
        expected: &'static str,
    },
    /// An `sso_session` that the config file does not define.
    Session,
    /// A program configured in a file that another user can modify.
    Foreign {
        /// The path of the file.
        file: String,
    },
}

impl Cause for ProfileError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable(ReadError::Changing) => Kind::Io,
            Self::Unreadable(ReadError::Os(errno)) => match *errno {
                rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => Kind::Denied,
                _ => Kind::Io,
            },
            Self::Foreign { .. } => Kind::Denied,
            _ => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Unreadable(error) => format!("{place} cannot be read: {error}"),
            Self::Line(error) => format!("{place}, line {}: {}", error.line, error.fault),
            Self::Unknown { searched, near } => {
                format!("the AWS profile `{place}` does not exist in {searched}{near}")
            }
            Self::Lacks { key, needed_by } => {
                format!("the AWS profile `{place}` has no `{key}`, which its `{needed_by}` needs")
            }
            Self::NoSource => {
                format!("the AWS profile `{place}` has a `role_arn`, but nothing to assume that role with")
            }
            Self::TwoSources => {
                format!("the AWS profile `{place}` has both `source_profile` and `credential_source`")
            }
            Self::Source { word } => {
                format!("the AWS profile `{place}` has an unknown `credential_source`: `{word}`")
            }
            Self::Loop => format!("the `source_profile` of the AWS profile `{place}` leads back to itself"),
            Self::TooDeep => {
                format!("the AWS profile `{place}` needs more than 8 profiles, one after the other")
            }
            Self::Empty => format!("the AWS profile `{place}` is a `source_profile` without credentials"),
            Self::Mfa => format!("the AWS profile `{place}` needs a code from a device (`mfa_serial`)"),
            Self::Value { key, expected } => {
                format!("the `{key}` of the AWS profile `{place}` is not {expected}")
            }
            Self::Session => format!("the AWS profile `{place}` has an `sso_session` that does not exist"),
            Self::Foreign { file } => format!(
                "the AWS profile `{place}` runs a program that other users can replace, since they can change {file}, \
                 and cryokey runs as root"
            ),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Unreadable(_) => "correct the file's owner and mode, or AWS_CONFIG_FILE or \
                                    AWS_SHARED_CREDENTIALS_FILE where they name it"
                .into(),
            Self::Line(_) => "correct that line".into(),
            Self::Unknown { .. } => "correct AWS_PROFILE or `source_profile`, or mount the files and set \
                                     AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE to their paths"
                .into(),
            Self::Lacks { key, .. } => format!("add `{key}` to it"),
            Self::NoSource => "add `source_profile` or `credential_source` to it".into(),
            Self::TwoSources => "remove one of them".into(),
            Self::Source { .. } => "use Environment, EcsContainer or Ec2InstanceMetadata".into(),
            Self::Loop => "let the last profile have credentials of its own".into(),
            Self::TooDeep => "let the role trust the first identity, and remove the profiles between".into(),
            Self::Empty => "add credentials to it, or name another `source_profile`".into(),
            Self::Mfa => "use a role that machines can assume, without `mfa_serial`".into(),
            Self::Value { key, .. } => format!("correct `{key}`"),
            Self::Session => "add a section `[sso-session NAME]` to the config file, or correct the name".into(),
            Self::Foreign { .. } => {
                "run cryokey as the user that owns the file, or chown it to root and remove write access for others"
                    .into()
            }
        }
    }
}
