//! Generated compose files: with what each says, its services start with the manifest that `init` writes.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Container, written};

/// Names that map to different names, whatever is taken of them.
const NAMES: [&str; 12] = [
    "db-password",
    "Api_Token",
    "mail.pw",
    "session_url",
    "tls_private_key",
    "server.pem",
    "blue_secret_key",
    "green_secret_key",
    "production_smtp",
    "staging_smtp",
    "redis-URL",
    "dev_ops_pat",
];

/// How a service mounts a secret and what it says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Short,
    Target,
    Absolute,
    Nested,
    Hidden,
    Outside,
    FileVariable,
    DoubleFileVariable,
    FilePrefix,
    PathVariable,
    SetVariable,
    OtherFileVariable,
    Outsider,
}

const FORMS: [Form; 13] = [
    Form::Short,
    Form::Target,
    Form::Absolute,
    Form::Nested,
    Form::Hidden,
    Form::Outside,
    Form::FileVariable,
    Form::DoubleFileVariable,
    Form::FilePrefix,
    Form::PathVariable,
    Form::SetVariable,
    Form::OtherFileVariable,
    Form::Outsider,
];

#[derive(Debug, Clone)]
struct Service {
    image: usize,
    mounts: Vec<(&'static str, Form)>,
    color: Option<&'static str>,
    environment: Option<&'static str>,
}

impl Form {
    /// Target, if one is written, and variable, if one is set.
    fn says(self, name: &str) -> (Option<String>, Option<(String, String)>) {
        let upper = name.to_uppercase().replace(['-', '.'], "_");
        let here = format!("/run/secrets/{name}");
        let outside = format!("/etc/app/{name}");
        match self {
            Self::Short => (None, None),
            Self::Target => (Some(name.to_uppercase()), None),
            Self::Absolute => (Some(here), None),
            Self::Nested => (Some(format!("team/{name}")), None),
            Self::Hidden => (Some(format!(".{name}")), None),
            Self::Outside => (Some(outside), None),
            Self::FileVariable => (None, Some((format!("THE_{upper}_FILE"), here))),
            Self::DoubleFileVariable => (None, Some((format!("THE_{upper}__FILE"), here))),
            Self::FilePrefix => (None, Some((format!("FILE__{upper}"), here))),
            Self::PathVariable => (None, Some((upper, here))),
            Self::SetVariable => (None, Some((upper, "a setting".into()))),
            Self::OtherFileVariable => (None, Some((format!("{upper}_FILE"), "/var/log/none".into()))),
            Self::Outsider => (Some(outside.clone()), Some((format!("{upper}_FILE"), outside))),
        }
    }
}

impl Service {
    fn files(&self) -> Vec<String> {
        let path = |(name, form): &(&str, Form)| match form.says(name).0 {
            None => format!("/run/secrets/{name}"),
            Some(target) if target.starts_with('/') => target,
            Some(target) => format!("/run/secrets/{target}"),
        };
        self.mounts.iter().map(path).collect()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let own = self.mounts.iter().filter_map(|(name, form)| form.says(name).1);
        let color = self.color.map(|color| ("DEPLOYMENT_COLOR".to_owned(), color.to_owned()));
        let environment = self.environment.map(|word| ("APP_ENV".to_owned(), word.to_owned()));
        own.chain(color).chain(environment).collect()
    }

    /// Secrets of two environments and no selection: what is meant is not known, and no start is possible.
    fn is_undecided(&self) -> bool {
        let has = |word: &str| self.mounts.iter().any(|(name, _)| name.starts_with(word));
        self.environment.is_none() && has("production") && has("staging")
    }

    fn starts(&self, manifest: &str) {
        let (files, variables) = (self.files(), self.variables());
        let container = files.iter().fold(Container::default(), |container, path| container.file(path));
        let container =
            variables.iter().fold(container, |container, (name, value)| container.variable(name, value));
        let outcome = container.starts(manifest);
        let app = outcome.app();
        for (name, form) in &self.mounts {
            let Some((variable, value)) = form.says(name).1 else { continue };
            match form {
                Form::SetVariable | Form::OtherFileVariable => drop(app.has(&variable, &value)),
                // What held a path holds one, or was read; never the value.
                _ => assert_ne!(app.get(&variable), Some(container.value(&value).as_bytes()), "{variable}"),
            }
        }
    }
}

/// The file in one of the ways in which people share what services have in common.
fn compose(services: &[Service], style: usize) -> String {
    let (mut shared, mut text) = (String::new(), String::from("services:\n"));
    for (at, service) in services.iter().enumerate() {
        let secrets: Vec<String> = service
            .mounts
            .iter()
            .map(|(name, form)| match form.says(name).0 {
                Some(target) => format!("{{source: {name}, target: {target}}}"),
                None => (*name).to_owned(),
            })
            .collect();
        let variables: Vec<String> =
            service.variables().iter().map(|(name, value)| format!("{name}: \"{value}\"")).collect();
        let (secrets, variables) = (secrets.join(", "), variables.join(", "));
        let image = service.image;
        match style {
            0 => writeln!(text, "  s{at}: {{image: i{image}, secrets: [{secrets}], environment: {{{variables}}}}}"),
            1 => {
                write!(shared, "x-s{at}: &s{at} [{secrets}]\nx-e{at}: &e{at} {{{variables}}}\n").unwrap();
                write!(text, "  s{at}:\n    image: i{image}\n    secrets: *s{at}\n    environment: {{<<: *e{at}}}\n")
            }
            _ => {
                write!(shared, "x-b{at}: &b{at}\n  image: overridden\n  secrets: [{secrets}]\n  environment: {{{variables}}}\n").unwrap();
                writeln!(text, "  s{at}: {{<<: [*b{at}], image: i{image}}}")
            }
        }
        .unwrap();
    }
    format!("{shared}{text}secrets: {{}}\n")
}

fn service() -> impl Strategy<Value = Service> {
    let mounts = subsequence(NAMES.to_vec(), 0..=6).prop_flat_map(|names| {
        let forms =
            proptest::collection::vec(prop_oneof![Just(Form::Short), select(FORMS.to_vec())], names.len());
        forms.prop_map(move |forms| names.iter().copied().zip(forms).collect())
    });
    let color = select(vec![None, Some("blue"), Some("green")]);
    let environment = select(vec![None, Some("production"), Some("staging"), Some("development")]);
    let parts = (0..2_usize, mounts, color, environment);
    parts.prop_map(|(image, mounts, color, environment)| Service { image, mounts, color, environment })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn l10_a_service_starts_with_the_manifest_for_it_and_with_the_one_for_all(
        services in proptest::collection::vec(service(), 1..4),
        style in 0..3_usize,
    ) {
        let text = compose(&services, style);
        let all = written(&text, &[]);
        for (at, service) in services.iter().enumerate().filter(|(_, service)| !service.is_undecided()) {
            let own = written(&text, &["--service", &format!("s{at}")]);
            service.starts(&own);
            if !service.mounts.is_empty() {
                service.starts(&all);
            }
            for (name, _) in &service.mounts {
                prop_assert!(own.to_lowercase().contains(&name.to_lowercase()), "{name}: {own}");
            }
        }
    }
}
