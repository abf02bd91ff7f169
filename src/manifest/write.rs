//! Writes a manifest as TOML, as a person would.

use std::fmt::Write as _;

use super::{Deliver, Format, Manifest, SecretRule};
use crate::secret::Newline;
use crate::syntax::{AbsolutePath, Boolean, Days, Integer, List, Syntax};

/// Without comments. Reading the result gives the same manifest.
#[must_use]
pub fn to_toml(manifest: &Manifest) -> String {
    let mut text = String::from("version = 1\n");
    list(&mut text, "environments", &manifest.environments);
    list(&mut text, "colors", &manifest.colors);
    let (in_process, at_top): (Vec<_>, Vec<_>) =
        manifest.settings.to_toml().into_iter().partition(|(key, _)| key.starts_with("process."));
    keys(&mut text, &at_top);
    if !in_process.is_empty() {
        text.push_str("\n[process]\n");
        keys(&mut text, &in_process);
    }
    if !manifest.required_variables.is_empty() {
        text.push_str("\n[env]\n");
        list(&mut text, "required", &manifest.required_variables);
    }
    for (name, rule) in &manifest.secrets {
        let _ = write!(text, "\n[secret.{name}]\n{}", secret(rule));
    }
    text
}

/// The lines of one secret's table, without defaults.
#[must_use]
pub fn secret(rule: &SecretRule) -> String {
    let mut text = String::new();
    line::<Boolean>(&mut text, "required", Some(&rule.required).filter(|required| **required));
    line::<Format>(&mut text, "format", rule.format.as_ref());
    line::<Integer<0>>(&mut text, "min_length", rule.min_length.as_ref());
    line::<Boolean>(&mut text, "allow_empty", Some(&rule.allow_empty).filter(|allow| **allow));
    line::<Boolean>(&mut text, "allow_literal", Some(&rule.allow_literal).filter(|allow| **allow));
    line::<Newline>(
        &mut text,
        "newline",
        Some(&rule.newline).filter(|newline| **newline != Newline::StripOne),
    );
    line::<Days>(&mut text, "rotate_every", rule.rotate_every.as_ref());
    line::<Deliver>(&mut text, "deliver", Some(&rule.deliver).filter(|deliver| **deliver != Deliver::Env));
    line::<AbsolutePath>(&mut text, "path", rule.path.as_ref());
    list(&mut text, "from", &rule.from);
    text
}

/// Settings, with their keys in the table that they are in.
fn keys(text: &mut String, settings: &[(&str, String)]) {
    for (key, value) in settings {
        let key = key.rsplit('.').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    }
}

fn list(text: &mut String, key: &str, items: &[impl ToString]) {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    line::<List>(text, key, Some(&items).filter(|items| !items.is_empty()));
}

fn line<S: Syntax>(text: &mut String, key: &str, value: Option<&S::Value>) {
    let _ = value.map(|value| writeln!(text, "{key} = {}", S::to_toml(value)));
}
