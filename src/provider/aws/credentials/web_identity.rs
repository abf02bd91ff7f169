//! A role for a token of another identity provider, such as that of a Kubernetes service account (IRSA). Source: the API
//! reference of the Security Token Service, `AssumeRoleWithWebIdentity`.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::IdentityError;
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::endpoint::Service;
use crate::provider::aws::error::AwsError;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::aws::wire::{Call, Wire};
use crate::provider::aws::xml;
use crate::provider::bootstrap::read_line;
use crate::provider::{Deadline, ProviderError};
use crate::secret::Secret;

/// The file that holds the token, and the role.
#[derive(Debug, Clone)]
pub struct WebIdentity {
    /// It is read at each sign-in, since the platform renews it.
    pub token_file: PathBuf,
    /// The ARN of the role.
    pub role: String,
    /// What the session is called in AWS's own logs.
    pub session_name: Option<String>,
}

impl WebIdentity {
    pub(super) fn label(&self) -> String {
        format!("the role {} by the token in {}", escaped(&self.role), escaped_path(&self.token_file))
    }

    pub(super) fn obtain(&self, wire: &Wire, deadline: Deadline) -> Result<Credentials, ProviderError> {
        let token = read_line(&self.token_file)?;
        let token = token.ok_or_else(|| IdentityError::EmptyFile.at(escaped_path(&self.token_file)))?;
        let body = form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role),
            ("RoleSessionName", self.session_name.as_deref().unwrap_or("cryokey")),
            ("WebIdentityToken", token.text()),
        ]);
        let call = Call {
            service: Service::Sts,
            headers: vec![("content-type", b"application/x-www-form-urlencoded")],
            body: &body,
            action: "AssumeRoleWithWebIdentity",
            resource: escaped(&self.role),
        };
        let place = || escaped(&self.role);
        let reply = wire.send(&call, None, deadline).map_err(|error| match error {
            AwsError::Denied { .. } | AwsError::Invalid { .. } | AwsError::Refused(_) => {
                IdentityError::WebIdentity.at(place())
            }
            error => error.at(place()),
        })?;
        issued(&reply).map_err(|error| error.at(place()))
    }
}

/// The key in a reply of the Security Token Service.
fn issued(reply: &[u8]) -> Result<Credentials, AwsError> {
    let element = |name| -> Result<Secret, AwsError> {
        let text = xml::element(reply, name).filter(|it| !it.expose().is_empty());
        text.ok_or(AwsError::member(name))
    };
    Ok(Credentials {
        access_key_id: element("AccessKeyId")?,
        secret_access_key: element("SecretAccessKey")?,
        session_token: Some(element("SessionToken")?),
    })
}

/// A body of names and values, in a buffer that never grows, since a grown one leaves a copy behind.
fn form(pairs: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let room = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(b'&');
        }
        encode(name, &mut text);
        text.push(b'=');
        encode(value, &mut text);
    }
    text
}

fn encode(part: &str, text: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte);
        } else {
            let digits =
                [byte >> 4, byte & 15].map(|half| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0'));
            text.extend_from_slice(&[b'%', digits[0], digits[1]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_and_never_outgrows_its_buffer() {
        assert_eq!(&**form(&[("a", "x y&=%ä"), ("b", "")]), "a=x%20y%26%3D%25%C3%A4&b=".as_bytes());
        let worst = "\u{1}".repeat(1000);
        assert!(form(&[("a", &worst)]).len() <= 3 * (worst.len() + 1) + 2);
    }

    #[test]
    fn a_reply_without_a_whole_key_is_nonsense() {
        let whole = "<r><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>\
                     <SessionToken>c</SessionToken></Credentials></r>";
        assert_eq!(issued(whole.as_bytes()).unwrap().session_token.unwrap().expose(), b"c");
        let without = whole.replace("<SessionToken>c</SessionToken>", "");
        assert_eq!(issued(without.as_bytes()).unwrap_err(), AwsError::member("SessionToken"));
        assert!(issued(b"{}").is_err());
    }
}
