//! Compiles the built-in profile to Rust, so that it is not parsed at startup. A test checks that the result equals
//! what the manifest reader makes of the same file.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "a build script may panic")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use toml::de::{DeTable, DeValue};

const PROFILE: &str = "src/profile/cryoprotect.toml";

fn main() {
    println!("cargo::rerun-if-changed={PROFILE}");
    let text = fs::read_to_string(PROFILE).expect("the profile exists");
    let profile = DeTable::parse(&text).expect("the profile is TOML").into_inner();
    let target = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("profile.rs");
    fs::write(target, manifest(&profile)).expect("OUT_DIR is writable");
}

fn manifest(profile: &DeTable<'_>) -> String {
    let mut fields = String::new();
    for (key, value) in profile {
        let key = key.get_ref().as_ref();
        let value = value.get_ref();
        let _ = match key {
            "version" => Ok(()),
            "environments" | "colors" => {
                writeln!(fields, "{key}: vec![{}],", each(value, "Variant::built_in"))
            }
            "undeclared" => writeln!(
                fields,
                "settings: Layer {{ undeclared: Some(Undeclared::{}), ..Layer::default() }},",
                variant(value)
            ),
            "env" => {
                writeln!(fields, "required_variables: vec![{}],", each(required(value), "EnvName::built_in"))
            }
            "secret" => writeln!(fields, "secrets: BTreeMap::from([{}]),", secrets(value)),
            other => panic!("build.rs does not know the key `{other}` of {PROFILE}"),
        };
    }
    format!("Manifest {{ {fields} }}")
}

fn required<'a>(env: &'a DeValue<'_>) -> &'a DeValue<'a> {
    env.get("required").expect("[env] has `required`").get_ref()
}

fn secrets(value: &DeValue<'_>) -> String {
    let table = value.as_table().expect("[secret] is a table");
    let entry = |name: &str, rule: &DeValue<'_>| {
        format!("(EnvName::built_in({name:?}), SecretRule {{ {} ..SecretRule::DEFAULT }})", rule_fields(rule))
    };
    let entries = table.iter().map(|(name, rule)| entry(name.get_ref(), rule.get_ref()));
    entries.collect::<Vec<_>>().join(", ")
}

fn rule_fields(rule: &DeValue<'_>) -> String {
    let table = rule.as_table().expect("a secret is a table");
    let field = |key: &str, value: &DeValue<'_>| match key {
        "required" => format!("required: {}, ", value.as_bool().expect("true or false")),
        "format" => format!("format: Some(Format::{}), ", variant(value)),
        "deliver" => format!("deliver: Deliver::{}, ", variant(value)),
        other => panic!("build.rs does not know the key `{other}` of a secret in {PROFILE}"),
    };
    table.iter().map(|(key, value)| field(key.get_ref(), value.get_ref())).collect()
}

/// `SshKey` for `"ssh-key"`.
fn variant(value: &DeValue<'_>) -> String {
    let words = value.as_str().expect("a text").split('-');
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn each(list: &DeValue<'_>, constructor: &str) -> String {
    let items = list.as_array().expect("a list").iter();
    let item = |value: &DeValue<'_>| format!("{constructor}({:?})", value.as_str().expect("a list of texts"));
    items.map(|value| item(value.get_ref())).collect::<Vec<_>>().join(", ")
}
