//! Secrets in Kubernetes: `k8s:namespace/name#key`, or `k8s:name#key` in the configured namespace. vals writes
//! `ref+k8s://v1/Secret/namespace/name/key`.

use super::{NotAReference, Parts};
use crate::provider::Key;
use crate::provider::kubernetes::cluster::{is_key, is_name};

/// Parses what follows `k8s:` or `ref+k8s://`.
pub(super) fn key(parts: Parts<'_>) -> Result<Key, NotAReference> {
    let Parts { path, field, version, is_of_vals } = parts;
    let (path, field) = match (is_of_vals, field) {
        (true, None) => of_vals(path)?,
        // The fields of a value are JSON; no other source looks into one without being asked by its own syntax.
        (true, Some(_)) => return Err(NotAReference::Query),
        (false, field) => (path, field),
    };
    let is_place = path.split('/').count() <= 2 && path.split('/').all(is_name);
    // An API object keeps no earlier versions.
    if !is_place || !field.is_none_or(is_key) || version.is_some() {
        return Err(NotAReference::KubernetesName);
    }
    Ok(Key { path: path.into(), field: field.map(Into::into), version: None })
}

/// `v1/Secret/namespace/name/key`; the parameter `inCluster` says what cryokey does anyway in a pod.
fn of_vals(path: &str) -> Result<(&str, Option<&str>), NotAReference> {
    let rest = path.strip_suffix("?inCluster").unwrap_or(path);
    let rest = rest.strip_prefix("v1/Secret/").ok_or(NotAReference::KubernetesName)?;
    let (place, key) = rest.rsplit_once('/').ok_or(NotAReference::KubernetesName)?;
    if place.contains('/') { Ok((place, Some(key))) } else { Err(NotAReference::KubernetesName) }
}

#[cfg(test)]
mod tests {
    use super::super::Reference;

    #[test]
    fn a_reference_to_kubernetes_is_written_as_it_is_read() {
        for text in ["k8s:app#password", "k8s:prod/app#tls.crt", "k8s:prod/app-v2.secrets", "k8s:app"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        for theirs in
            ["ref+k8s://v1/Secret/prod/app/tls.crt", "ref+k8s://v1/Secret/prod/app/tls.crt?inCluster"]
        {
            assert_eq!(Reference::parse(theirs).unwrap().to_string(), "k8s:prod/app#tls.crt");
        }
    }

    #[test]
    fn b09_b10_a_reference_to_kubernetes_names_no_host_and_no_other_object() {
        for text in [
            "k8s://evil.example/x",
            "k8s:a/b/c#d",
            "k8s:App#d",
            "k8s:../x#d",
            "k8s:a%2fb#d",
            "k8s:prod/app#key@3",
            "ref+k8s://v1/ConfigMap/prod/app/key",
            "ref+k8s://v1/Secret/prod/app",
            "ref+k8s://v1/Secret/prod/app/key?kubeContext=x",
            "ref+k8s://v1/Secret/prod/app/key#/json",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
