//! The remote providers, each with the files and variables that the contract names.

use std::fs;

use serde_json::json;

use crate::support::google::{HOSTS as GOOGLE_HOSTS, PROJECT, google};
use crate::support::kubernetes::{API, kubernetes};
use crate::support::{
    HOSTS, NAME, Proof, READ, REGION, SECRETS_MANAGER, Sandbox, TENANT, VAULT, azure, canary, moto, openbao,
};
use crate::{container, values};

type Shown = Option<Vec<&'static str>>;
type Values = [(&'static str, String); 3];

/// The app starts with these values, and the log does not show them.
fn delivers(sandbox: Sandbox, values: &Values) {
    let sandbox = values.iter().fold(sandbox, |sandbox, (_, value)| sandbox.watch(value));
    let outcome = sandbox.start();
    for (name, value) in values {
        outcome.app().has(name, value);
        outcome.says(name);
    }
}

pub(crate) fn aws() -> Shown {
    let (moto, values) = (moto()?, values());
    for (name, value) in &values {
        moto.put(&format!("cryoprotect/{name}"), value.as_bytes());
    }
    let user = moto.user(&json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}));
    moto.enforce(true);
    let sandbox = container(moto.network())
        .file("/etc/authority.pem", fs::read(moto.authority().certificate()).unwrap())
        .variable("AWS_CA_BUNDLE", "/etc/authority.pem")
        .host(SECRETS_MANAGER, moto.tls().ip())
        .variable("EXTERNAL_SECRET_PROVIDER", "aws")
        .credential_file("AWS_ACCESS_KEY_ID", &user.id)
        .credential_file("AWS_SECRET_ACCESS_KEY", &user.key)
        .file("/run/secrets/AWS_REGION", REGION)
        .variable("AWS_SECRET_PREFIX", "cryoprotect/");
    delivers(sandbox, &values);
    Some(vec!["its three files and its variable are enough; moto verifies the signatures"])
}

pub(crate) fn vault() -> Shown {
    let (bao, values) = (openbao()?, values());
    let root = bao.root();
    let path = format!("{}/data/cryoprotect", root.mount(2));
    let data: serde_json::Map<_, _> =
        values.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    root.write(&path, &json!({ "data": data }));
    let token = root.token(&[&root.policy(&path, READ)], &json!({"ttl": "1h"}));
    let address = format!("https://{NAME}:{}", bao.tls().port());
    let sandbox = container(bao.network())
        .file("/etc/authority.pem", fs::read(bao.authority().certificate()).unwrap())
        .variable("VAULT_CACERT", "/etc/authority.pem")
        .host(NAME, bao.tls().ip())
        .variable("EXTERNAL_SECRET_PROVIDER", "vault")
        .credential_file("VAULT_TOKEN", &token)
        .file("/run/secrets/VAULT_ADDR", address)
        .variable("VAULT_SECRET_PATH", &path);
    delivers(sandbox, &values);
    Some(vec!["its two files and its variable are enough, on OpenBao"])
}

pub(crate) fn azure_key_vault() -> Shown {
    let (azure, values, secret) = (azure()?, values(), canary());
    for (name, value) in &values {
        azure.put(&name.replace('_', "-"), value);
    }
    let client = azure.client(&Proof::Secret(&secret));
    let sandbox = container(azure.network())
        .file("/etc/authority.pem", fs::read(azure.authority().certificate()).unwrap())
        .variable("SSL_CERT_FILE", "/etc/authority.pem")
        .variable("EXTERNAL_SECRET_PROVIDER", "azure")
        .file("/run/secrets/AZURE_CLIENT_ID", &client)
        .credential_file("AZURE_CLIENT_SECRET", &secret)
        .file("/run/secrets/AZURE_TENANT_ID", TENANT)
        .variable("AZURE_KEYVAULT_NAME", VAULT);
    let sandbox = HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, azure.tls().ip()));
    delivers(sandbox, &values);
    Some(vec!["its three files and its variable are enough, on an emulator that Microsoft's client judges"])
}

pub(crate) fn google_secret_manager() -> Shown {
    let (google, values) = (google()?, values());
    for (name, value) in &values {
        google.put(&format!("cryoprotect-{name}"), value);
    }
    let account = google.account();
    let sandbox = container(google.network())
        .file("/etc/authority.pem", fs::read(google.authority().certificate()).unwrap())
        .variable("SSL_CERT_FILE", "/etc/authority.pem")
        .variable("EXTERNAL_SECRET_PROVIDER", "gcp")
        .file("/run/secrets/GOOGLE_APPLICATION_CREDENTIALS", &account.key_json)
        .variable("GCP_PROJECT_ID", PROJECT)
        .variable("GCP_SECRET_PREFIX", "cryoprotect-");
    let sandbox =
        GOOGLE_HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, google.tls().ip()));
    delivers(sandbox, &values);
    Some(vec!["its file and its two variables are enough, on an emulator that Google's client judges"])
}

pub(crate) fn kubernetes_api() -> Shown {
    let (namespace, values) = (kubernetes()?.namespace(), values());
    namespace.secret("cryoprotect", &values.each_ref().map(|(name, value)| (*name, value)));
    let sandbox = || {
        let sandbox = namespace.pod(container(namespace.cluster.network()));
        sandbox
            .host(API, namespace.cluster.server().ip())
            .variable("K8S_SECRET_NAMESPACE", &namespace.name)
            .variable("K8S_SECRET_NAME", "cryoprotect")
    };
    let denied = sandbox().start();
    denied.refused(77, "resolve", "SUPABASE_URL", "denied").says("kubectl").says("create rolebinding");
    namespace.allow(&["cryoprotect"]);
    delivers(sandbox(), &values);
    Some(vec![
        "its two variables are enough, with get on that one Secret, on kube-apiserver",
        "without the permission: 77, with the commands that grant it",
    ])
}
