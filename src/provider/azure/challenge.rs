//! The challenge that a vault returns when it rejects a token, with the authority and the resource of the token it
//! expects. Any server could send one, so it is accepted only if the authority is that of the configured cloud and the
//! vault's host lies within the resource's domain. Source: "Authentication, requests, and responses", Azure Key Vault
//! documentation.

use super::cloud::{Cloud, Vault};
use crate::escape::escaped;

/// A verified challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The tenant that the vault belongs to: an id or a domain.
    pub tenant: String,
    /// The resource that the token must be issued for, such as `https://vault.azure.net`.
    pub resource: String,
}

/// Why a challenge is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeFault {
    /// It does not have the documented syntax.
    Syntax,
    /// It names an authority other than that of the configured cloud.
    Authority {
        /// The host of that authority; escaped.
        host: String,
    },
    /// It names a resource whose domain does not contain the vault.
    Resource {
        /// The host of that resource; escaped.
        host: String,
    },
}

impl Challenge {
    /// Parses and verifies the value of a `WWW-Authenticate` header.
    pub fn verified(header: &str, vault: &Vault, cloud: &Cloud) -> Result<Self, ChallengeFault> {
        let parameters = parameters(header).ok_or(ChallengeFault::Syntax)?;
        let get =
            |name: &str| parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let authorization =
            get("authorization").or(get("authorization_uri")).ok_or(ChallengeFault::Syntax)?;
        let resource = get("resource").or(get("scope")).ok_or(ChallengeFault::Syntax)?;
        let (authority, tenant) = authority_of(authorization).ok_or(ChallengeFault::Syntax)?;
        if !cloud.authority().eq_ignore_ascii_case(&format!("https://{authority}")) {
            return Err(ChallengeFault::Authority { host: escaped(authority) });
        }
        let resource = resource.trim_end_matches("/.default").trim_end_matches('/').to_ascii_lowercase();
        let host = resource.strip_prefix("https://").ok_or(ChallengeFault::Syntax)?;
        if !is_above(host, vault.host()) {
            return Err(ChallengeFault::Resource { host: escaped(host) });
        }
        Ok(Self { tenant: tenant.to_owned(), resource })
    }
}

/// Whether `host` is a subdomain of `domain`.
fn is_above(domain: &str, host: &str) -> bool {
    domain.contains('.') && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The host and the tenant in `https://login.microsoftonline.com/TENANT`.
fn authority_of(url: &str) -> Option<(&str, &str)> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let tenant = path.split('/').next()?;
    (is_tenant(tenant) && !host.is_empty()).then_some((host, tenant))
}

/// Whether the text can be the id or a domain of a tenant. It contains no character that could change the path of a
/// URL.
#[must_use]
pub fn is_tenant(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(is_legal) && text.bytes().any(|byte| byte != b'.')
}

/// The parameters of a `Bearer` challenge (RFC 9110 §11.3), with names in lower case and values without quotes.
fn parameters(header: &str) -> Option<Vec<(String, String)>> {
    let (scheme, mut rest) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = Vec::new();
    while !rest.trim_start_matches([' ', ',']).is_empty() {
        let (name, after) = rest.trim_start_matches([' ', ',']).split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parameters.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        rest = after;
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn verified(header: &str) -> Result<Challenge, ChallengeFault> {
        let cloud = Cloud::new(None, None);
        Challenge::verified(header, &cloud.vault("app").unwrap(), &cloud)
    }

    #[test]
    fn a_challenge_names_the_tenant_and_the_resource() {
        let wanted = Challenge { tenant: TENANT.to_owned(), resource: "https://vault.azure.net".to_owned() };
        for header in [
            format!(
                r#"Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net""#
            ),
            format!(
                r#"bearer authorization_uri="https://login.microsoftonline.com/{TENANT}/oauth2/authorize",scope="https://vault.azure.net/.default""#
            ),
            format!(
                "Bearer authorization=https://login.microsoftonline.com/{TENANT}, resource=https://vault.azure.net/"
            ),
        ] {
            assert_eq!(verified(&header), Ok(wanted.clone()), "{header}");
        }
    }

    #[test]
    fn a_challenge_that_leads_elsewhere_is_not_believed() {
        let header = |authority: &str, resource: &str| {
            verified(&format!(
                r#"Bearer authorization="https://{authority}/{TENANT}", resource="https://{resource}""#
            ))
        };
        let foreign = |host: &str| Err(ChallengeFault::Authority { host: host.to_owned() });
        assert_eq!(header("login.evil.example", "vault.azure.net"), foreign("login.evil.example"));
        for host in ["evil.example", "management.azure.com", "azure.net.evil.example", "ult.azure.net", "net"]
        {
            let fault = header("login.microsoftonline.com", host);
            assert_eq!(fault, Err(ChallengeFault::Resource { host: host.to_owned() }));
        }
        for text in [
            "",
            "Bearer",
            "Basic realm=\"x\"",
            "Bearer authorization=\"https://login.microsoftonline.com/t",
            "Bearer resource=\"https://vault.azure.net\"",
            "Bearer authorization=\"https://login.microsoftonline.com/a%2F..\", resource=\"https://vault.azure.net\"",
        ] {
            assert_eq!(verified(text), Err(ChallengeFault::Syntax), "{text}");
        }
    }
}
