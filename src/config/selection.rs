//! Which environment and color are in force, as the variables say it.

use super::Notice;
use crate::environ::{Environ, variable};
use crate::error::Problem;
use crate::escape::escaped;
use crate::manifest::Manifest;
use crate::name::Variant;
use crate::suggest::did_you_mean;

/// Which secrets override the plain ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The selected environment.
    pub environment: Option<Variant>,
    /// The selected color.
    pub color: Option<Variant>,
    /// Why no environment is selected although a variable is set: nothing may be assumed then.
    pub undeclared_environment: Option<String>,
    /// The same for the color.
    pub undeclared_color: Option<String>,
}

impl Selection {
    /// The beginnings of names that are in force, the more specific first.
    #[must_use]
    pub fn prefixes(&self) -> Vec<String> {
        self.color.iter().chain(&self.environment).map(Variant::prefix).collect()
    }

    /// Why the secrets of an environment, or of a color, are not used.
    #[must_use]
    pub fn why_unused(&self, is_color: bool) -> String {
        let (undeclared, kind) = if is_color {
            (&self.undeclared_color, "color")
        } else {
            (&self.undeclared_environment, "environment")
        };
        undeclared.clone().unwrap_or_else(|| format!("no {kind} is selected"))
    }
}

/// What the variables select. A value that can only be a mistake is a problem: to go on would be to guess.
pub(super) fn select(
    manifest: &Manifest,
    environ: &Environ,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) -> Selection {
    let environments = [variable::ENVIRONMENT, variable::APP_ENV, variable::FLASK_ENV];
    let mut first = |names: &[&str], known| first(names, &Known(known), environ, notices, problems);
    let (environment, undeclared_environment) = first(&environments, &manifest.environments);
    let (color, undeclared_color) = first(&[variable::DEPLOYMENT_COLOR], &manifest.colors);
    Selection { environment, color, undeclared_environment, undeclared_color }
}

/// The first variable that is set to a declared name, and what an earlier one is set to.
fn first(
    names: &[&str],
    known: &Known<'_>,
    environ: &Environ,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) -> (Option<Variant>, Option<String>) {
    let mut undeclared = None;
    for name in names {
        let Some(text) = environ.text(name) else { continue };
        if let Some(variant) = known.find(&text) {
            return (Some(variant.clone()), None);
        }
        if let Some(meant) = known.find(bare(&text)) {
            problems.push(wrapped(name, &text, meant));
        } else if *name == variable::ENVIRONMENT {
            problems.push(unknown(name, &text, known));
        } else if !known.0.is_empty() {
            let why = format!("{name}=`{}` is not one of {}", escaped(&text), known.listed());
            notices.push(Notice::Info(format!("{why}: it selects nothing{}", known.hint(&text))));
            undeclared.get_or_insert(why);
        }
    }
    (None, undeclared)
}

/// The declared environments, or the colors.
struct Known<'a>(&'a [Variant]);

impl Known<'_> {
    fn find(&self, text: &str) -> Option<&Variant> {
        self.0.iter().find(|variant| variant.as_str().eq_ignore_ascii_case(text))
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(Variant::as_str).collect();
        names.join(", ")
    }

    fn hint(&self, text: &str) -> String {
        did_you_mean(text, self.0.iter().map(Variant::as_str))
    }
}

/// A value without what a shell, an env file or an editor can leave around it.
fn bare(text: &str) -> &str {
    const QUOTES: &str = "\"'`\u{2018}\u{2019}\u{201c}\u{201d}";
    const INVISIBLE: &str = "\u{200b}\u{feff}";
    let is_around = |character: char| {
        character.is_whitespace()
            || character.is_control()
            || QUOTES.contains(character)
            || INVISIBLE.contains(character)
    };
    text.trim_matches(is_around)
}

fn wrapped(name: &str, text: &str, meant: &Variant) -> Problem {
    Problem::configuration(
        name,
        format!("{name}=`{}` is `{meant}` with quotes, white space or a CR around it", escaped(text)),
        format!("set {name} to {meant}, without quotes; save env files with Unix line endings"),
    )
}

fn unknown(name: &str, text: &str, known: &Known<'_>) -> Problem {
    let text = escaped(text);
    if known.0.is_empty() {
        let what = format!("{name}=`{text}`, but the manifest declares no environments");
        return Problem::configuration(name, what, format!("declare `environments`, or unset {name}"));
    }
    let what = format!("{name}: `{text}` is not one of {}{}", known.listed(), known.hint(&text));
    Problem::configuration(name, what, format!("set {name} to a declared environment, or unset it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_left_around_a_value_is_not_part_of_it() {
        for text in ["\"blue\"", " 'blue'\r\n", "\u{feff}blue", "\u{201c}blue\u{201d}", "`blue`\t"] {
            assert_eq!(bare(text), "blue", "{text:?}");
        }
        assert_eq!(bare("dark blue"), "dark blue");
    }
}
