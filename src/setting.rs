//! The settings. Each is one row of the table below; the code that reads, merges, writes and documents it is generated
//! from that row.

use std::path::PathBuf;
use std::time::Duration;

use init::Forward;

use crate::provider::aws::credentials::metadata::Mode;
use crate::provider::azure::credentials::Chosen;
use crate::provider::http::AllowHttp;
use crate::provider::vault::identity::Auth;
use crate::provider::{Providers, Source};
use crate::syntax::{AbsolutePath, Boolean, Choice, Integer, List, Path, Syntax, Text, TimeSpan};
use crate::system::account_name::{AccountName, UserName};

/// Where orchestrators mount secrets.
pub const SECRETS_DIR: &str = "/run/secrets";

/// Turns rows of `name: type as syntax = default, variable, key` into the types below. `or` names a variable that is read
/// where the first is not set: one that others gave that meaning. A key with a dot is in a table: `process.user`.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty as $syntax:ty = $default:expr, variable $variable:literal $(or $other:literal)? $(, key $key:literal)?;
    )+) => {
        /// The effective settings.
        #[derive(Debug)]
        pub struct Settings { $( $(#[doc = $doc])+ pub $name: $type, )+ }

        /// The settings of one source; `None` where it does not set one.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Layer { $( $(#[doc = $doc])+ pub $name: Option<<$syntax as Syntax>::Value>, )+ }

        impl Layer {
            pub fn read(reader: &impl Reader) -> Self {
                Self { $(
                    $name: reader.read::<$syntax>($variable, [$($key)?].first().copied())
                        $( .or_else(|| reader.read::<$syntax>($other, None)) )?,
                )+ }
            }

            /// Fills the gaps of this layer from the one below.
            #[must_use]
            pub fn or(self, below: Self) -> Self {
                Self { $( $name: self.$name.or(below.$name), )+ }
            }

            /// Fills the gaps of this layer with the defaults.
            #[must_use]
            pub fn or_default(self) -> Settings {
                Settings { $( $name: self.$name.map_or_else(|| $default, Into::into), )+ }
            }

            /// Keys and values of the manifest, as TOML.
            #[must_use]
            pub fn to_toml(&self) -> Vec<(&'static str, String)> {
                let lines = [$($( self.$name.as_ref().map(|value| ($key, <$syntax>::to_toml(value))), )?)+];
                lines.into_iter().flatten().collect()
            }
        }

        #[derive(Debug)]
        pub struct Variables { $( $(#[doc = $doc])+ pub $name: &'static str, )+ }

        /// The name of each setting's variable.
        pub const VARIABLE: Variables = Variables { $( $name: $variable, )+ };

        pub const VARIABLES: &[&str] = &[$( $variable, $($other,)? )+];

        /// The table, for documents and tests.
        #[cfg(test)]
        pub(crate) fn rows() -> Vec<Row> {
            let defaults = Layer::default().or_default();
            vec![$( Row {
                key: [$($key)?].first().copied(),
                variables: vec![$variable $(, $other)?],
                default: Option::<<$syntax as Syntax>::Value>::from(defaults.$name).as_ref().map(<$syntax>::to_toml),
                meaning: [$($doc),+].concat().trim().to_owned(),
                schema: <$syntax>::schema(),
            }, )+]
        }
    };
}

// Without a key, a setting can only be set by its variable.
settings! {
    /// Hosts that may be asked without TLS, each with its port, such as `vault:8200`. Loopback addresses always may.
    allow_http: AllowHttp as AllowHttp = AllowHttp::default(), variable "CRYOKEY_ALLOW_HTTP", key "allow_http";
    /// Files may be delivered to a run directory that is on a disk.
    allow_disk: bool as Boolean = false, variable "CRYOKEY_ALLOW_DISK", key "allow_disk";
    /// A required secret may come from a plain variable, which `docker inspect` shows. Always true with `--dev`.
    allow_plain_env: bool as Boolean = false, variable "CRYOKEY_ALLOW_PLAIN_ENV", key "allow_plain_env";
    /// Names of `CRYOKEY_…` and consumed `NAME_FILE` variables that the app keeps; by default it gets none of them.
    keep_env: Vec<String> as List = Vec::new(), variable "CRYOKEY_KEEP_ENV", key "keep_env";
    /// Who gets the signals that are sent to cryokey: `app`, its process only, or `group`, every process of its group. Only
    /// where cryokey supervises.
    forward: Forward as Forward = Forward::App, variable "CRYOKEY_FORWARD", key "process.forward";
    /// How long after the first TERM the app is killed, if it has not ended; by default it is not. Only where cryokey
    /// supervises.
    grace: Option<Duration> as TimeSpan = None, variable "CRYOKEY_GRACE", key "process.grace";
    /// How long what the app leaves behind may take to end, before it is killed. Only where cryokey supervises.
    linger: Duration as TimeSpan = Duration::from_secs(1), variable "CRYOKEY_LINGER", key "process.linger";
    /// How many requests are sent to a remote source at once.
    max_requests: u64 as Integer<1, 256> = 32, variable "CRYOKEY_MAX_REQUESTS", key "max_requests";
    /// What the names of secret files may begin with, such as `cryoprotect_`.
    name_prefix: String as Text = String::new(), variable "CRYOKEY_NAME_PREFIX", key "name_prefix";
    /// A declared secret's plain variable that is a reference, such as `vault:secret/db#password`, is replaced by what it
    /// refers to.
    references: bool as Boolean = false, variable "CRYOKEY_REFERENCES", key "references";
    /// Where files are delivered: a directory on a tmpfs, absolute in the manifest. Without it, the first writable tmpfs
    /// of `$XDG_RUNTIME_DIR`, `/run` and `/dev/shm`; if there is none, in-memory files.
    run_dir: Option<PathBuf> as AbsolutePath = None, variable "CRYOKEY_RUN_DIR", key "run_dir";
    /// The user that the app runs as, if cryokey is started as root: a name or a number, or both ids such as `1000:1000` or
    /// `app:www`.
    user: Option<UserName> as UserName = None, variable "CRYOKEY_USER", key "process.user";
    /// The group of that user: a name or a number. By default that of the user in `/etc/passwd`, else 0.
    group: Option<AccountName> as AccountName = None, variable "CRYOKEY_GROUP", key "process.group";
    /// HOME of that user, an absolute path. By default the home directory in `/etc/passwd`, else `/`.
    home: Option<PathBuf> as AbsolutePath = None, variable "CRYOKEY_HOME", key "process.home";
    /// If cryokey is not started as root, the app runs as cryokey's own user, whatever `user` says. Always true with
    /// `--dev`.
    user_if_root: bool as Boolean = false, variable "CRYOKEY_USER_IF_ROOT", key "process.user_if_root";
    /// Where secret files are; `./.secrets` with `--dev`, whatever the variable and the manifest say.
    secrets_dir: PathBuf as Path = SECRETS_DIR.into(), variable "CRYOKEY_SECRETS_DIR", key "secrets_dir";
    /// How long reading the secrets may take.
    start_timeout: Duration as TimeSpan = Duration::from_secs(30), variable "CRYOKEY_START_TIMEOUT", key "start_timeout";
    /// Exit with 77 for a secret file with more permissions than owner-read (0400), a secrets directory that every user
    /// can write, or a hard link to another user's file in such a directory.
    strict_permissions: bool as Boolean = false, variable "CRYOKEY_STRICT_PERMISSIONS", key "strict_permissions";
    /// `deliver` or `ignore`: what to do with undeclared keys of remote sources.
    undeclared: Undeclared as Undeclared = Undeclared::Deliver, variable "CRYOKEY_UNDECLARED", key "undeclared";

    /// The remote sources to read, such as `vault,aws`; the last one takes precedence.
    external: Vec<Source> as Providers = Vec::new(), variable "EXTERNAL_SECRET_PROVIDER";
    /// The Kubernetes Secrets to read, separated by commas; later ones override.
    kubernetes_secrets: Vec<String> as List = Vec::new(), variable "K8S_SECRET_NAME";
    /// The namespace of these Secrets; by default that of the pod, or of the kubeconfig's context.
    kubernetes_namespace: Option<String> as Text = None, variable "K8S_SECRET_NAMESPACE";
    /// Outside a pod: the kubeconfigs to sign in with, separated by colons; by default `~/.kube/config`.
    kubeconfig: Option<PathBuf> as Path = None, variable "KUBECONFIG";
    /// The host of the Kubernetes API server, which Kubernetes sets in each pod.
    kubernetes_host: Option<String> as Text = None, variable "KUBERNETES_SERVICE_HOST";
    /// Its port; by default 443.
    kubernetes_port: Option<u64> as Integer<1, 65_535> = None, variable "KUBERNETES_SERVICE_PORT";
    /// How to sign in at Vault where neither a token nor a role id with a secret id is given: `kubernetes`, `jwt`, `aws`,
    /// `azure`, `gcp`, `cert` or `userpass`.
    vault_auth: Option<Auth> as Auth = None, variable "CRYOKEY_VAULT_AUTH" or "VAULT_AUTH_METHOD", key "vault_auth";
    /// Where that way is mounted in Vault, without `auth/`; by default under its own name.
    vault_auth_mount: Option<String> as Text = None, variable "CRYOKEY_VAULT_AUTH_MOUNT", key "vault_auth_mount";
    /// What Vault's `aws` expects in the header `X-Vault-AWS-IAM-Server-ID`, if it expects anything.
    vault_aws_server_id: Option<String> as Text = None, variable "CRYOKEY_VAULT_AWS_SERVER_ID", key "vault_aws_server_id";
    /// The resource that Vault's `azure` expects the token to be for.
    vault_azure_resource: String as Text = "https://management.azure.com".into(), variable "CRYOKEY_VAULT_AZURE_RESOURCE", key "vault_azure_resource";
    /// The file that holds the JSON Web Token for `jwt` and `kubernetes`; by default that of the pod's service account.
    vault_jwt_file: Option<PathBuf> as AbsolutePath = None, variable "CRYOKEY_VAULT_JWT_FILE", key "vault_jwt_file";
    /// The role to take on when signing in.
    vault_role: Option<String> as Text = None, variable "CRYOKEY_VAULT_ROLE" or "VAULT_ROLE", key "vault_role";

    /// What the names of the app's secrets in AWS begin with, such as `app/`. Empty in the manifest: all of the account.
    aws_prefix: Option<String> as Text = None, variable "AWS_SECRET_PREFIX", key "aws_prefix";
    /// The profile of AWS's shared files that signs cryokey in and gives the region, where no keys and no region are set.
    aws_profile: Option<String> as Text = None, variable "AWS_PROFILE";
    /// The file with the profiles of AWS; by default `~/.aws/config`.
    aws_config_file: Option<PathBuf> as Path = None, variable "AWS_CONFIG_FILE";
    /// The file with the keys of these profiles; by default `~/.aws/credentials`.
    aws_credentials_file: Option<PathBuf> as Path = None, variable "AWS_SHARED_CREDENTIALS_FILE";
    /// The region of AWS; without one, that of the profile, or `us-east-1`.
    aws_region: Option<String> as Text = None, variable "AWS_REGION" or "AWS_DEFAULT_REGION";
    /// An address in place of those of all services of AWS.
    aws_endpoint: Option<String> as Text = None, variable "AWS_ENDPOINT_URL";
    /// An address in place of AWS Secrets Manager's.
    aws_secrets_endpoint: Option<String> as Text = None, variable "AWS_ENDPOINT_URL_SECRETS_MANAGER";
    /// An address in place of the AWS Security Token Service's.
    aws_sts_endpoint: Option<String> as Text = None, variable "AWS_ENDPOINT_URL_STS";
    /// Addresses that variables set in place of AWS's are ignored.
    aws_ignore_endpoints: bool as Boolean = false, variable "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    /// A file with the CA certificates that are trusted for AWS, in place of the built-in ones.
    aws_ca_file: Option<PathBuf> as Path = None, variable "AWS_CA_BUNDLE";
    /// Use the hosts of AWS whose cryptography is validated for the government of the United States.
    aws_fips: bool as Boolean = false, variable "AWS_USE_FIPS_ENDPOINT";
    /// Use the hosts of AWS that have IPv6 addresses too.
    aws_dual_stack: bool as Boolean = false, variable "AWS_USE_DUALSTACK_ENDPOINT";

    /// The role to take on in AWS for the token in `AWS_WEB_IDENTITY_TOKEN_FILE`.
    aws_role: Option<String> as Text = None, variable "AWS_ROLE_ARN";
    /// What that session is called in AWS's own logs; by default `cryokey`.
    aws_session_name: Option<String> as Text = None, variable "AWS_ROLE_SESSION_NAME";
    /// The file that holds a token of another identity provider, such as that of a Kubernetes service account.
    aws_token_file: Option<PathBuf> as Path = None, variable "AWS_WEB_IDENTITY_TOKEN_FILE";
    /// The path on the address of ECS that gives this task its key.
    aws_container_path: Option<String> as Text = None, variable "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    /// The address that gives this container its key, where there is no such path.
    aws_container_url: Option<String> as Text = None, variable "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    /// The file whose content is sent there; overrides `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    aws_container_token_file: Option<PathBuf> as Path = None, variable "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    /// The metadata service of EC2 is never asked.
    aws_metadata_disabled: bool as Boolean = false, variable "AWS_EC2_METADATA_DISABLED";
    /// An address in place of the usual one of the metadata service.
    aws_metadata_endpoint: Option<String> as Text = None, variable "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    /// `IPv4` or `IPv6`: which of its usual addresses is meant.
    aws_metadata_mode: Option<Mode> as Mode = None, variable "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

    /// The vault in Azure that holds the app's secrets: its name, or its `https` URL.
    azure_vault: Option<String> as Text = None, variable "AZURE_KEYVAULT_NAME";
    /// The authority that signs cryokey in at Azure; by default that of the vault's cloud.
    azure_authority: Option<String> as Text = None, variable "AZURE_AUTHORITY_HOST";
    /// How to sign in at Azure: `prod`, the first of the next three that is configured; `EnvironmentCredential`,
    /// `WorkloadIdentityCredential`, `ManagedIdentityCredential`; `AzureCliCredential` or `dev`, which runs `az`.
    azure_credentials: Option<Chosen> as Chosen = None, variable "AZURE_TOKEN_CREDENTIALS";
    /// A PEM file with the certificate of the application in Azure, and its private key.
    azure_certificate: Option<PathBuf> as Path = None, variable "AZURE_CLIENT_CERTIFICATE_PATH";
    /// The file that holds a token of another identity provider, such as that of a Kubernetes service account.
    azure_token_file: Option<PathBuf> as Path = None, variable "AZURE_FEDERATED_TOKEN_FILE";
    /// The address that gives a container in App Service or Container Apps its token.
    azure_identity_endpoint: Option<String> as Text = None, variable "IDENTITY_ENDPOINT";

    /// The project in Google that holds the app's secrets: its id or number. By default that of the service account key.
    google_project: Option<String> as Text = None, variable "GCP_PROJECT_ID" or "GOOGLE_CLOUD_PROJECT";
    /// The location of regional secrets in Google, such as `europe-west1`; without it, the global secrets are read.
    google_location: Option<String> as Text = None, variable "CRYOKEY_GCP_LOCATION", key "gcp_location";
    /// What the names of the app's secrets in Google begin with, such as `app-`. Empty in the manifest: all of the project.
    google_prefix: Option<String> as Text = None, variable "GCP_SECRET_PREFIX", key "gcp_prefix";
    /// The file with the credentials for Google: a service account key, or what gcloud or workload identity federation
    /// wrote. A file of this name in the secrets directory overrides it.
    google_credentials: Option<PathBuf> as Path = None, variable "GOOGLE_APPLICATION_CREDENTIALS";
    /// The directory of gcloud's configuration, which may contain such a file; by default `~/.config/gcloud`.
    google_configuration: Option<PathBuf> as Path = None, variable "CLOUDSDK_CONFIG";
    /// A host in place of that of Google's metadata service, 169.254.169.254.
    google_metadata_host: Option<String> as Text = None, variable "GCE_METADATA_HOST";
    /// The domain of Google's APIs; by default that of the credentials, or `googleapis.com`.
    google_universe: Option<String> as Text = None, variable "GOOGLE_CLOUD_UNIVERSE_DOMAIN";

    /// The address of Vault: `https://host:port`, or `unix:///path`.
    vault_address: Option<String> as Text = None, variable "VAULT_ADDR";
    /// The address of a Vault agent; overrides `VAULT_ADDR`.
    vault_agent_address: Option<String> as Text = None, variable "VAULT_AGENT_ADDR";
    /// A file with the CA certificates that are trusted for Vault, in place of the built-in ones.
    vault_ca_file: Option<PathBuf> as Path = None, variable "VAULT_CACERT";
    /// A directory of such files.
    vault_ca_directory: Option<PathBuf> as Path = None, variable "VAULT_CAPATH";
    /// The certificate that is presented to Vault.
    vault_client_certificate: Option<PathBuf> as Path = None, variable "VAULT_CLIENT_CERT";
    /// Its private key.
    vault_client_key: Option<PathBuf> as Path = None, variable "VAULT_CLIENT_KEY";
    /// The namespace of all requests to Vault.
    vault_namespace: Option<String> as Text = None, variable "VAULT_NAMESPACE";
    /// The proxy for requests to Vault; overrides `HTTPS_PROXY`.
    vault_proxy: Option<String> as Text = None, variable "VAULT_PROXY_ADDR";
    /// The Vault secrets whose fields become secrets of the app, such as `secret/app`, separated by commas; later ones
    /// override.
    vault_paths: Vec<String> as List = Vec::new(), variable "VAULT_SECRET_PATH";
    /// Refused if true: cryokey always verifies the certificate.
    vault_skip_verify: bool as Boolean = false, variable "VAULT_SKIP_VERIFY";
    /// The name that Vault's certificate must have, if it is not the host of its address.
    vault_server_name: Option<String> as Text = None, variable "VAULT_TLS_SERVER_NAME";

    /// A missing or unusable secret is an error, not a warning.
    strict_secrets: bool as Boolean = true, variable "STRICT_SECRET_MODE";
    /// A missing required variable is an error, not a warning.
    strict_env: bool as Boolean = true, variable "STRICT_ENV_MODE";
    /// A secret that is too old, or whose age is unknown, is an error, not a warning.
    strict_rotation: bool as Boolean = false, variable "STRICT_ROTATION_MODE";
    /// The age in days after which a secret is too old: a whole number, at least 1.
    rotation_threshold: Option<u64> as Integer<1> = None, variable "SECRET_ROTATION_THRESHOLD_DAYS";
}

/// Reads settings from variables or from the manifest.
pub trait Reader {
    fn read<S: Syntax>(&self, variable: &'static str, key: Option<&'static str>) -> Option<S::Value>;
}

/// What happens to the keys of a bulk source that the manifest does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    /// The app gets them too.
    Deliver,
    /// They are left out.
    Ignore,
}

impl Choice for Forward {
    const WORDS: &'static [(&'static str, Self)] = &[("app", Self::App), ("group", Self::Group)];
}

impl Choice for Undeclared {
    const WORDS: &'static [(&'static str, Self)] = &[("deliver", Self::Deliver), ("ignore", Self::Ignore)];
}

/// A row of the table.
#[cfg(test)]
pub(crate) struct Row {
    pub(crate) key: Option<&'static str>,
    pub(crate) variables: Vec<&'static str>,
    /// As TOML.
    pub(crate) default: Option<String>,
    pub(crate) meaning: String,
    schema: serde_json::Value,
}

#[cfg(test)]
impl schemars::JsonSchema for Layer {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut properties = serde_json::Map::new();
        for row in rows() {
            let Some(key) = row.key else { continue };
            let mut schema = row.schema;
            schema["description"] = row.meaning.into();
            match key.split_once('.') {
                Some((table, key)) => {
                    let table = properties.entry(table).or_insert_with(table_schema);
                    table["properties"][key] = schema;
                }
                None => drop(properties.insert(key.to_owned(), schema)),
            }
        }
        schemars::json_schema!({ "type": "object", "properties": properties })
    }
}

/// The schema of a table of settings, still empty.
#[cfg(test)]
fn table_schema() -> serde_json::Value {
    serde_json::json!({ "type": "object", "additionalProperties": false, "properties": {} })
}
