//! The settings. Each is one row of the table below; the code that reads, merges, writes and documents it is generated
//! from that row.

use std::path::PathBuf;
use std::time::Duration;

use crate::provider::{Providers, Source};
use crate::syntax::{AbsolutePath, Boolean, Choice, Integer, List, Path, Syntax, Text, TimeSpan};

/// Where orchestrators mount secrets.
pub const SECRETS_DIR: &str = "/run/secrets";

/// Turns rows of `name: type as syntax = default, variable, key` into the types below.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty as $syntax:ty = $default:expr, variable $variable:literal $(, key $key:literal)?;
    )+) => {
        /// The effective settings.
        #[derive(Debug)]
        pub struct Settings { $( $(#[doc = $doc])+ pub $name: $type, )+ }

        /// The settings of one source; `None` where it does not set one.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Layer { $( $(#[doc = $doc])+ pub $name: Option<<$syntax as Syntax>::Value>, )+ }

        impl Layer {
            pub fn read(reader: &impl Reader) -> Self {
                Self { $( $name: reader.read::<$syntax>($variable, [$($key)?].first().copied()), )+ }
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

        pub const VARIABLES: &[&str] = &[$( $variable, )+];

        /// The table, for documents and tests.
        #[cfg(test)]
        pub(crate) fn rows() -> Vec<Row> {
            let defaults = Layer::default().or_default();
            vec![$( Row {
                key: [$($key)?].first().copied(),
                variable: $variable,
                default: Option::<<$syntax as Syntax>::Value>::from(defaults.$name).as_ref().map(<$syntax>::to_toml),
                meaning: [$($doc),+].concat().trim().to_owned(),
                schema: <$syntax>::schema(),
            }, )+]
        }
    };
}

// Without a key, a setting can only be set by its variable.
settings! {
    /// Files may be delivered to a run directory that is on a disk.
    allow_disk: bool as Boolean = false, variable "CRYOKEY_ALLOW_DISK", key "allow_disk";
    /// A required secret may come from a plain variable, which `docker inspect` shows. Always true with `--dev`.
    allow_plain_env: bool as Boolean = false, variable "CRYOKEY_ALLOW_PLAIN_ENV", key "allow_plain_env";
    /// Names of `CRYOKEY_…` and consumed `NAME_FILE` variables that the app keeps; by default it gets none of them.
    keep_env: Vec<String> as List = Vec::new(), variable "CRYOKEY_KEEP_ENV", key "keep_env";
    /// What the names of secret files may begin with, such as `cryoprotect_`.
    name_prefix: String as Text = String::new(), variable "CRYOKEY_NAME_PREFIX", key "name_prefix";
    /// Where files are delivered: a directory on a tmpfs, absolute in the manifest. Without it, files are delivered in
    /// memory, without a directory.
    run_dir: Option<PathBuf> as AbsolutePath = None, variable "CRYOKEY_RUN_DIR", key "run_dir";
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
    /// The Kubernetes Secret to read.
    kubernetes_secret: Option<String> as Text = None, variable "K8S_SECRET_NAME";
    /// The namespace of that Secret.
    kubernetes_namespace: Option<String> as Text = None, variable "K8S_SECRET_NAMESPACE";

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

impl Choice for Undeclared {
    const WORDS: &'static [(&'static str, Self)] = &[("deliver", Self::Deliver), ("ignore", Self::Ignore)];
}

/// A row of the table.
#[cfg(test)]
pub(crate) struct Row {
    pub(crate) key: Option<&'static str>,
    pub(crate) variable: &'static str,
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
            properties.insert(key.to_owned(), schema);
        }
        schemars::json_schema!({ "type": "object", "properties": properties })
    }
}
