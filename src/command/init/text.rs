//! Formats the manifest, with comments.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::decide::Decision;
use crate::manifest::write;
use crate::name::Variant;

/// The complete text. `remarks` become comments about where the names come from.
pub(super) fn manifest(decision: &Decision, remarks: &[String]) -> String {
    let mut text = String::from(HEADER);
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{}", list("environments", &decision.environments, "staging\", \"production"));
    let _ = write!(text, "{}", list("colors      ", &decision.colors, "blue\", \"green"));
    text.push_str(PREFIX);
    text.push_str(if decision.has_remote_provider { DELIVER } else { IGNORE });
    text.push_str(SETTINGS);
    if !remarks.is_empty() {
        text.push('\n');
    }
    for remark in remarks.iter().chain(&decision.warnings) {
        let _ = writeln!(text, "# {remark}");
    }
    for secret in &decision.secrets {
        text.push('\n');
        for comment in &secret.comments {
            let _ = writeln!(text, "# {comment}");
        }
        let _ = write!(text, "[secret.{}]\n{}", secret.name, write::secret(&secret.rule));
    }
    if decision.secrets.is_empty() {
        text.push_str(EXAMPLE);
    }
    if !decision.left_out.is_empty() {
        text.push('\n');
    }
    for left_out in &decision.left_out {
        let _ = writeln!(text, "# left out: {left_out}");
    }
    text
}

fn list(key: &str, variants: &BTreeSet<Variant>, example: &str) -> String {
    let words: Vec<&str> = variants.iter().map(Variant::as_str).collect();
    if words.is_empty() {
        return format!("# {key} = [\"{example}\"]\n");
    }
    format!("{key} = [\"{}\"]\n", words.join("\", \""))
}

const HEADER: &str = r"# What this app needs to start. docs/manifest.md explains every key.
version = 1

# Names that may stand before a secret's name, as STAGING_DATABASE_URL or BLUE_DATABASE_URL. Which one counts is
# selected by CRYOKEY_ENVIRONMENT (or APP_ENV, FLASK_ENV) and by DEPLOYMENT_COLOR.
";

const PREFIX: &str = r#"
# Secret files may be called with this in front, as cryoprotect_database_url.
# name_prefix = "cryoprotect_"
"#;

const IGNORE: &str = r#"
# Keys that a provider has and this file does not declare are left out.
undeclared = "ignore"
"#;

const DELIVER: &str = r#"
# Keys that the remote provider has are delivered even if this file does not declare them, as without this file.
# Declare the ones that the app cannot start without, then set this to "ignore".
undeclared = "deliver"
"#;

const SETTINGS: &str = r#"
# Variables that must be set, whether they are secrets or not.
# [env]
# required = ["FLASK_APP"]

# Each secret: required, format (url, json, pem, ssh-key, base64, hex, integer, text), min_length, allow_empty,
# allow_literal, newline ("strip-one" or "keep"), rotate_every ("90d"), deliver ("env", "file", "both", "ssh"), from.
"#;

const EXAMPLE: &str = r#"
# No secret was found that can be declared. An example:
# [secret.DATABASE_URL]
# required = true
# format   = "url"
"#;
