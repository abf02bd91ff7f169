//! Azure's clouds: the authority of each, which authenticates identities, and the domain of its vaults. Source:
//! "National clouds", Microsoft Learn.

use crate::escape::escaped;
use crate::provider::http::{HttpError, Method, Request};
use crate::provider::{Cause, Kind};

/// The authority and the vault domain of each cloud. The first entry is the public cloud, which is the default.
const CLOUDS: &[(&str, &str)] = &[
    ("login.microsoftonline.com", "vault.azure.net"),
    ("login.microsoftonline.us", "vault.usgovcloudapi.net"),
    ("login.chinacloudapi.cn", "vault.azure.cn"),
    ("login.partner.microsoftonline.cn", "vault.azure.cn"),
];

/// The domains that the host of a vault in a reference may have.
pub const DOMAINS: [&str; 3] = ["vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn"];

/// The cloud that cryokey signs in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// The URL of the authority, without a trailing slash.
    authority: String,
    /// The domain appended to a vault that is given by its name alone.
    domain: String,
}

/// The address of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// The host, and the port unless it is 443; in lower case.
    authority: String,
}

impl Cloud {
    /// The cloud of the authority; without one, that of the configured vault; otherwise the public cloud.
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

    /// The URL of the authority, without a trailing slash.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The token endpoint (RFC 6749 §3.2) of a tenant.
    #[must_use]
    pub fn token_url(&self, tenant: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.authority)
    }

    /// The resource to request tokens for, if no vault is known.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("https://{}", self.domain)
    }

    /// The vault with this name, host or `https` URL. A name alone stands for a vault in this cloud.
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
        let authority = authority.strip_suffix(":443").unwrap_or(&authority).to_owned();
        let is_plain =
            url.starts_with("https://") && matches!(request.path(), "" | "/") && !url.contains(['?', '#']);
        let is_host = authority.split('.').count() > 2;
        if is_plain && is_host { Ok(Vault { authority }) } else { Err(VaultFault::Name) }
    }

    /// The vault that a reference names. It must be in this cloud, because no token of this cloud is valid elsewhere.
    pub fn referenced(&self, name: &str) -> Result<Vault, VaultFault> {
        let vault = self.vault(name)?;
        let is_here = vault.host().strip_suffix(&self.domain).is_some_and(|rest| rest.ends_with('.'));
        if is_here { Ok(vault) } else { Err(VaultFault::OtherCloud { host: escaped(vault.host()) }) }
    }
}

impl Vault {
    /// The URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// The host, and the port unless it is 443.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether a host, with its port if it has one, is this vault's.
    #[must_use]
    pub fn is_at(&self, authority: &str) -> bool {
        authority.strip_suffix(":443").unwrap_or(authority).eq_ignore_ascii_case(&self.authority)
    }

    /// The host without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.split(':').next().unwrap_or_default()
    }

    /// The first label of the host, which is the vault's name in `az` commands.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host().split('.').next().unwrap_or_default()
    }

    /// The resource to request tokens for: the domain that contains the vault. This way, a vault never receives a token
    /// of another cloud.
    #[must_use]
    pub fn resource(&self) -> String {
        let domain = self.host().split_once('.').map_or("", |(_, domain)| domain);
        format!("https://{domain}")
    }
}

/// Why a text does not identify a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultFault {
    /// It is neither the name nor the `https` URL of a vault.
    Name,
    /// It is not a valid host or URL.
    Address(HttpError),
    /// The vault is in another cloud than the authority.
    OtherCloud {
        /// The vault's host; escaped.
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

/// Whether the text has 3 to 24 letters, digits and hyphens, as the names of vaults do.
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
        assert_eq!(vault("https://app.vault.azure.net:443/").as_deref(), Some("https://app.vault.azure.net"));
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
