//! A manifest as text, as a person would write it.

use std::fmt::Write as _;

use super::{Deliver, Manifest, SecretRule, Settings};
use crate::secret::Newline;
use crate::setting::{Choice as _, duration_text};

/// The whole manifest as TOML, without comments. Reading it gives the same manifest.
#[must_use]
pub fn to_toml(manifest: &Manifest) -> String {
    let mut text = String::from("version = 1\n");
    list(&mut text, "environments", manifest.environments.iter().map(|variant| variant.as_str().to_owned()));
    list(&mut text, "colors", manifest.colors.iter().map(|variant| variant.as_str().to_owned()));
    settings(&mut text, &manifest.settings);
    if !manifest.required_variables.is_empty() {
        text.push_str("\n[env]\n");
        list(&mut text, "required", manifest.required_variables.iter().map(ToString::to_string));
    }
    for (name, rule) in &manifest.secrets {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[secret.{name}]\n{}", secret(rule));
    }
    text
}

/// The lines of one secret's table.
#[must_use]
pub fn secret(rule: &SecretRule) -> String {
    let mut text = String::new();
    flag(&mut text, "required", Some(rule.required).filter(|required| *required));
    quoted(&mut text, "format", rule.format.map(|format| format.text().to_owned()));
    let _ = rule.min_length.map(|length| writeln!(text, "min_length = {length}"));
    flag(&mut text, "allow_empty", Some(rule.allow_empty).filter(|allow| *allow));
    let newline = Some(rule.newline).filter(|newline| *newline != Newline::StripOne);
    quoted(&mut text, "newline", newline.map(|newline| newline.text().to_owned()));
    quoted(&mut text, "rotate_every", rule.rotate_every.map(duration_text));
    let deliver = Some(rule.deliver).filter(|deliver| *deliver != Deliver::Env);
    quoted(&mut text, "deliver", deliver.map(|deliver| deliver.text().to_owned()));
    quoted(&mut text, "path", rule.path.as_ref().map(|path| path.to_string_lossy().into_owned()));
    list(&mut text, "from", rule.from.iter().map(ToString::to_string));
    text
}

fn settings(text: &mut String, settings: &Settings) {
    flag(text, "allow_disk", settings.allow_disk);
    flag(text, "allow_plain_env", settings.allow_plain_env);
    // An empty list is not the same as none: it keeps nothing.
    if let Some(kept) = &settings.keep_env {
        array(text, "keep_env", kept.iter());
    }
    quoted(text, "name_prefix", settings.name_prefix.clone());
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    quoted(text, "run_dir", path(&settings.run_dir));
    quoted(text, "secrets_dir", path(&settings.secrets_dir));
    quoted(text, "start_timeout", settings.start_timeout.map(duration_text));
    flag(text, "strict_permissions", settings.strict_permissions);
    quoted(text, "undeclared", settings.undeclared.map(|undeclared| undeclared.text().to_owned()));
}

fn flag(text: &mut String, key: &str, value: Option<bool>) {
    let _ = value.map(|value| writeln!(text, "{key} = {value}"));
}

fn quoted(text: &mut String, key: &str, value: Option<String>) {
    let _ = value.map(|value| writeln!(text, "{key} = {}", literal(&value)));
}

fn list(text: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        array(text, key, items.iter());
    }
}

fn array<'a>(text: &mut String, key: &str, items: impl Iterator<Item = &'a String>) {
    let items: Vec<String> = items.map(|item| literal(item)).collect();
    let _ = writeln!(text, "{key} = [{}]", items.join(", "));
}

/// A basic string (TOML 1.0, "String").
fn literal(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        let _ = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            control if control.is_control() => write!(quoted, "\\u{:04X}", u32::from(control)),
            plain => write!(quoted, "{plain}"),
        };
    }
    quoted + "\""
}
