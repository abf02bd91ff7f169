//! References to secrets in Azure: `azure:vault/name`, or `azure:name` in the configured vault, with a JSON key or
//! pointer after `#`, and a version after `@` or another slash. The syntaxes of other tools are accepted too:
//! `azure:keyvault:name` (bank-vaults), `ref+azurekeyvault://vault/name` (vals) and `@Microsoft.KeyVault(…)` (App
//! Service).

use super::{NotAReference, Parts};
use crate::provider::Key;
use crate::provider::azure::cloud::{DOMAINS, is_vault_name};
use crate::provider::bulk::Spelling;

const APP_SERVICE: &str = "@Microsoft.KeyVault(";

/// The text after the opening parenthesis of App Service's syntax.
pub(super) fn of_app_service(text: &str) -> Option<&str> {
    text.strip_prefix(APP_SERVICE)
}

/// Parses `SecretUri=https://vault.vault.azure.net/secrets/name/version`, or
/// `VaultName=…;SecretName=…;SecretVersion=…`.
pub(super) fn app_service(rest: &str) -> Result<Key, NotAReference> {
    let inner = rest.strip_suffix(')').ok_or(NotAReference::Shape)?;
    let (mut uri, mut vault, mut name, mut version) = (None, None, None, None);
    for pair in inner.split(';').filter(|pair| !pair.is_empty()) {
        let place = match pair.split_once('=').ok_or(NotAReference::Shape)? {
            ("SecretUri", value) => (&mut uri, value),
            ("VaultName", value) => (&mut vault, value),
            ("SecretName", value) => (&mut name, value),
            ("SecretVersion", value) => (&mut version, value),
            _ => return Err(NotAReference::Query),
        };
        if place.0.replace(place.1).is_some() {
            return Err(NotAReference::Shape);
        }
    }
    let [uri, vault, name, version] =
        [uri, vault, name, version].map(|value| value.filter(|value| !value.is_empty()));
    match (uri, vault, name) {
        (Some(uri), None, None) => of_uri(uri),
        (None, Some(vault), Some(name)) => finish(Some(vault), name, None, version),
        _ => Err(NotAReference::Shape),
    }
}

fn of_uri(uri: &str) -> Result<Key, NotAReference> {
    let rest = uri.strip_prefix("https://").ok_or(NotAReference::Path)?;
    let (host, path) = rest.split_once("/secrets/").ok_or(NotAReference::Path)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split('/').collect::<Vec<_>>()[..] {
        [name] => finish(Some(host), name, None, None),
        [name, version] => finish(Some(host), name, None, Some(version)),
        _ => Err(NotAReference::Path),
    }
}

/// Parses what follows `azure:` or `ref+azurekeyvault://`.
pub(super) fn key(parts: Parts<'_>) -> Result<Key, NotAReference> {
    let Parts { path, field, version, .. } = parts;
    let own = path.strip_prefix("keyvault:");
    let pieces: Vec<&str> = own.unwrap_or(path).split('/').collect();
    let (vault, name, behind) = match (own, &pieces[..]) {
        (_, [name]) => (None, *name, None),
        (Some(_), [name, version]) => (None, *name, Some(*version)),
        (None, [vault, name]) => (Some(*vault), *name, None),
        (None, [vault, name, version]) => (Some(*vault), *name, Some(*version)),
        _ => return Err(NotAReference::Path),
    };
    match (version, behind) {
        (Some(_), Some(_)) => Err(NotAReference::AzureVersion),
        (one, other) => finish(vault, name, field, one.or(other)),
    }
}

fn finish(
    vault: Option<&str>,
    name: &str,
    field: Option<&str>,
    version: Option<&str>,
) -> Result<Key, NotAReference> {
    if name.is_empty() || !Spelling::Azure.is_legal(name) {
        return Err(NotAReference::AzureName);
    }
    let is_version =
        |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric());
    if version.is_some_and(|version| !is_version(version)) {
        return Err(NotAReference::AzureVersion);
    }
    let path = match vault {
        Some(vault) => format!("{}/{name}", vault_of(vault)?),
        None => name.to_owned(),
    };
    Ok(Key { path: path.into(), field: field.map(Into::into), version: version.map(Into::into) })
}

/// Validates the name or host of a vault. A host in the public cloud is shortened to the name.
fn vault_of(text: &str) -> Result<&str, NotAReference> {
    let (name, domain) = text.split_once('.').map_or((text, None), |(name, domain)| (name, Some(domain)));
    let is_known = domain.is_none_or(|domain| DOMAINS.contains(&domain));
    match domain {
        _ if !is_known || !is_vault_name(name) => Err(NotAReference::AzureVault),
        Some(domain) if Some(&domain) != DOMAINS.first() => Ok(text),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reference;
    use super::*;

    const ID: &str = "ba4f196b15f644cd9e949896a21bab0d";

    #[test]
    fn a_reference_to_azure_is_written_as_it_is_read() {
        for text in [
            "azure:db-password".to_owned(),
            "azure:app-prod/db-password".to_owned(),
            "azure:app-prod/db#password".to_owned(),
            "azure:app-prod/db#/users/0/password".to_owned(),
            format!("azure:app-prod/db#password@{ID}"),
            "azure:app-prod.vault.azure.cn/db".to_owned(),
        ] {
            assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_spellings_of_other_tools_for_azure_are_read() {
        for (theirs, ours) in [
            (format!("azure:app-prod/db/{ID}"), format!("azure:app-prod/db@{ID}")),
            ("azure:keyvault:db".to_owned(), "azure:db".to_owned()),
            (format!("azure:keyvault:db/{ID}"), format!("azure:db@{ID}")),
            ("ref+azurekeyvault://app-prod/db".to_owned(), "azure:app-prod/db".to_owned()),
            (format!("ref+azurekeyvault://app-prod/db/{ID}"), format!("azure:app-prod/db@{ID}")),
            (
                "@Microsoft.KeyVault(SecretUri=https://app-prod.vault.azure.net/secrets/db/)".to_owned(),
                "azure:app-prod/db".to_owned(),
            ),
            (
                format!("@Microsoft.KeyVault(SecretUri=https://app.vault.azure.cn/secrets/db/{ID})"),
                format!("azure:app.vault.azure.cn/db@{ID}"),
            ),
            (
                format!("@Microsoft.KeyVault(VaultName=app-prod;SecretName=db;SecretVersion={ID})"),
                format!("azure:app-prod/db@{ID}"),
            ),
        ] {
            assert_eq!(Reference::parse(&theirs).unwrap().to_string(), ours, "{theirs}");
            assert!(Reference::in_variable(theirs.as_bytes()).unwrap().is_ok(), "{theirs}");
        }
    }

    #[test]
    fn b10_b13_b14_a_reference_to_azure_names_no_other_host_and_is_read_strictly() {
        for (text, why) in [
            ("azure://evil.example/x", NotAReference::Path),
            ("azure:evil.example/db", NotAReference::AzureVault),
            ("azure:1.2.3.4/db", NotAReference::AzureVault),
            ("azure:app.vault.azure.net.evil.example/db", NotAReference::AzureVault),
            ("azure:ab/db", NotAReference::AzureVault),
            ("azure:app/DB_PASSWORD", NotAReference::AzureName),
            ("azure:app/", NotAReference::AzureName),
            ("azure:app/db@5-a", NotAReference::AzureVersion),
            ("azure:app/db/1@2", NotAReference::AzureVersion),
            ("azure:app/db#", NotAReference::Shape),
            ("azure:a/b/c/d", NotAReference::Path),
            ("azure:app/db?x=y", NotAReference::AzureName),
            ("@Microsoft.KeyVault(SecretUri=https://evil.example/secrets/db)", NotAReference::AzureVault),
            ("@Microsoft.KeyVault(SecretUri=http://app.vault.azure.net/secrets/db)", NotAReference::Path),
            (
                "@Microsoft.KeyVault(SecretUri=https://u@app.vault.azure.net/secrets/db)",
                NotAReference::AzureVault,
            ),
            ("@Microsoft.KeyVault(VaultName=app)", NotAReference::Shape),
            ("@Microsoft.KeyVault(VaultName=app;SecretName=db", NotAReference::Shape),
            ("@Microsoft.KeyVault(VaultName=app;SecretName=db;Extra=1)", NotAReference::Query),
            ("@Microsoft.KeyVault(VaultName=app;SecretName=a\0;SecretName=db)", NotAReference::Shape),
        ] {
            assert_eq!(Reference::parse(text), Err(why), "{text}");
        }
        assert_eq!(
            Reference::parse(&format!("azure:app/{}", "a".repeat(128))),
            Err(NotAReference::AzureName)
        );
    }
}
