//! Where Azure is: its authority, which signs identities in, and its vaults. Source: "National clouds", Microsoft Learn.

use crate::escape::escaped;
use crate::provider::http::{HttpError, Method, Request};
use crate::provider::{Cause, Kind};

/// The authority of each cloud, and the domain of its vaults; the first is the public cloud.
const CLOUDS: &[(&str, &str)] = &[
    ("login.microsoftonline.com", "vault.azure.net"),
    ("login.microsoftonline.us", "vault.usgovcloudapi.net"),
    ("login.chinacloudapi.cn", "vault.azure.cn"),
    ("login.partner.microsoftonline.cn", "vault.azure.cn"),
];

/// The domains of vaults that a reference may name.
pub const DOMAINS: [&str; 3] = ["vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn"];

/// A cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// The URL of the authority, without a slash at the end.
    authority: String,
    /// The domain of vaults that are known by their names only.
    domain: String,
}

/// A vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// Host, and port where it is not 443; in lower case.
    authority: String,
}

impl Cloud {
    /// The cloud of an authority; without one, that of the configured vault, and else the public one.
    #[must_use]
    pub fn new(authority: Option<&str>, vault: Option<&str>) -> Self {
        let of_vault = |(_, domain): &&(&str, &str)| {
            vault.is_some_and(|vault| vault.trim_end_matches('/').to_ascii_lowercase().ends_with(*domain))
        };
        let Some(authority) = authority else {
            let (authority, domain) =
                CLOUDS.iter().find(of_vault).or(CLOUDS.first()).copied().unwrap_or_default();
            return Self { authority: format!("https://{authority}"), domain: domain.to_owned() };
        };
        let host = authority.trim_end_matches('/').trim_start_matches("https://").to_ascii_lowercase();
        let is_it = |cloud: &&(&str, &str)| cloud.0 == host;
        let known = CLOUDS.iter().find(is_it).or_else(|| CLOUDS.iter().find(of_vault)).or(CLOUDS.first());
        let domain = known.map(|(_, domain)| (*domain).to_owned()).unwrap_or_default();
        let url =
            if authority.contains("://") { authority.to_owned() } else { format!("https://{authority}") };
        Self { authority: url.trim_end_matches('/').to_owned(), domain }
    }

    /// The URL of the authority.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where a tenant's applications get their tokens.
    #[must_use]
    pub fn token_url(&self, tenant: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.authority)
    }

    /// The resource that tokens for vaults of this cloud are for.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("https://{}", self.domain)
    }

    /// The vault of a name, of a host in this cloud, or of an `https` URL.
    pub fn vault(&self, text: &str) -> Result<Vault, VaultFault> {
        let url = if text.contains("://") {
            text.to_owned()
        } else if text.contains('.') {
            format!("https://{text}")
        } else if is_vault_name(text) {
            format!("https://{text}.{}", self.domain)
        } else {
            return Err(VaultFault::Name);
        };
        let request = Request::new(Method::Get, &url).map_err(VaultFault::Address)?;
        let authority = request.authority().to_ascii_lowercase();
        let is_plain =
            url.starts_with("https://") && matches!(request.path(), "" | "/") && !url.contains(['?', '#']);
        let is_host = authority.split('.').count() > 2;
        if is_plain && is_host { Ok(Vault { authority }) } else { Err(VaultFault::Name) }
    }

    /// The vault that a reference names, which must be in this cloud: its token is of no use elsewhere.
    pub fn referenced(&self, name: &str) -> Result<Vault, VaultFault> {
        let vault = self.vault(name)?;
        let is_here = vault.host().strip_suffix(&self.domain).is_some_and(|rest| rest.ends_with('.'));
        if is_here { Ok(vault) } else { Err(VaultFault::OtherCloud { host: escaped(vault.host()) }) }
    }
}

impl Vault {
    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// Host, with its port where the URL has one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host alone.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.split(':').next().unwrap_or_default()
    }

    /// What it is called, for commands to paste.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host().split('.').next().unwrap_or_default()
    }

    /// The resource that tokens for it are for: the domain above it. So no token of another cloud ever reaches it.
    #[must_use]
    pub fn resource(&self) -> String {
        let domain = self.host().split_once('.').map_or("", |(_, domain)| domain);
        format!("https://{domain}")
    }
}

/// Why a text leads to no vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultFault {
    /// It is neither the name of a vault, nor the `https` URL of one.
    Name,
    /// It is no address.
    Address(HttpError),
    /// The vault is in another cloud than the authority.
    OtherCloud {
        /// Its host; escaped.
        host: String,
    },
}

impl Cause for VaultFault {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Name => format!("`{place}` is neither the name of a vault nor its https URL"),
            Self::Address(error) => error.what(place),
            Self::OtherCloud { host } => {
                format!("{place}: {host} is not a vault of the cloud that is configured")
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::OtherCloud { .. } => "set AZURE_AUTHORITY_HOST to the authority of that cloud".into(),
            _ => "use the name of the vault, such as app-prod, or https://app-prod.vault.azure.net".into(),
        }
    }
}

/// 3 to 24 letters, digits and hyphens.
#[must_use]
pub fn is_vault_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (3..=24).contains(&text.len()) && text.bytes().all(is_legal) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(text: &str) -> Option<String> {
        Cloud::new(None, None).vault(text).ok().map(|vault| vault.url())
    }

    #[test]
    fn a_vault_is_a_name_or_an_https_url_without_a_path() {
        assert_eq!(vault("app-prod").as_deref(), Some("https://app-prod.vault.azure.net"));
        assert_eq!(vault("https://App.vault.azure.net/").as_deref(), Some("https://app.vault.azure.net"));
        for text in [
            "",
            "ab",
            "a_b",
            "http://app.vault.azure.net",
            "https://app.vault.azure.net/secrets",
            "https://user@app.vault.azure.net",
            "https://localhost",
            "https://app.vault.azure.net?x=y",
            "a/b.c.d",
        ] {
            assert_eq!(vault(text), None, "{text}");
        }
    }

    #[test]
    fn the_cloud_is_that_of_the_authority_or_of_the_vault() {
        let cloud = |authority, vault| {
            let cloud = Cloud::new(authority, vault);
            (cloud.authority().to_owned(), cloud.resource())
        };
        let of =
            |authority: &str, resource: &str| (format!("https://{authority}"), format!("https://{resource}"));
        let government = of("login.microsoftonline.us", "vault.usgovcloudapi.net");
        assert_eq!(cloud(None, None), of("login.microsoftonline.com", "vault.azure.net"));
        assert_eq!(cloud(None, Some("https://a.vault.usgovcloudapi.net/")), government);
        for text in ["https://login.microsoftonline.us/", "login.microsoftonline.us"] {
            assert_eq!(cloud(Some(text), Some("app")), government);
        }
        let private = cloud(Some("https://login.example/"), Some("app"));
        assert_eq!(private, of("login.example", "vault.azure.net"));
    }

    #[test]
    fn a_token_is_for_the_domain_above_the_vault() {
        let vault = Cloud::new(None, None).vault("https://kv.internal.example:8443").unwrap();
        assert_eq!(vault.resource(), "https://internal.example");
        assert_eq!((vault.name(), vault.authority()), ("kv", "kv.internal.example:8443"));
    }

    #[test]
    fn b10_a_reference_leads_to_no_host_outside_of_the_cloud() {
        let cloud = Cloud::new(None, None);
        assert!(cloud.referenced("other").is_ok() && cloud.referenced("other.vault.azure.net").is_ok());
        for text in
            ["evil.example.net", "evilvault.azure.net", "a.vault.azure.cn", "a.vault.azure.net.evil.example"]
        {
            assert!(cloud.referenced(text).is_err(), "{text}");
        }
    }
}
