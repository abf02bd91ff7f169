//! The parts of a Compose file that concern secrets (Compose Specification, "Secrets top-level element", and the
//! `secrets` and `environment` attributes of services).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::environ::variable;
use crate::provider::Source;
use crate::setting::{SECRETS_DIR, VARIABLE};
use crate::yaml::{Node, NotYaml};

/// A parsed Compose file.
#[derive(Debug)]
pub(super) struct Compose {
    pub(super) services: Vec<Service>,
    /// The names of the top-level secrets.
    pub(super) declared: BTreeSet<String>,
    /// Parts of the file that only Compose itself can resolve.
    pub(super) unread: Vec<&'static str>,
}

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    /// Identifies the image: its name, or its build parameters.
    image: String,
    pub(super) mounts: Vec<Mount>,
    /// The variables. `None` is a value that is known only when Compose runs.
    pub(super) environment: BTreeMap<String, Option<String>>,
    /// The variables whose value is a path, keyed by that path.
    pub(super) path_variables: HashMap<String, Vec<String>>,
    /// Absolute paths in the command and the variables, which may be those of secrets.
    words: HashSet<String>,
    runs_cryokey: bool,
    has_extends: bool,
    has_env_file: bool,
}

/// A secret mounted by a service.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) source: String,
    /// The path in the container; `None` if it is known only when Compose runs.
    pub(super) path: Option<String>,
}

impl Compose {
    /// Parses a Compose file.
    pub(super) fn parse(text: &str) -> Result<Self, NotYaml> {
        let (document, has_more) = Node::parse(text)?;
        let services: Vec<Service> =
            document.entry("services").into_iter().flat_map(Node::entries).map(service).collect();
        let declared = document.entry("secrets").into_iter().flat_map(Node::entries);
        let unread = [
            (document.entry("include").is_some(), "`include`"),
            (services.iter().any(|service| service.has_extends), "`extends`"),
            (has_more, "further documents after `---`"),
        ];
        Ok(Self {
            services,
            declared: declared.map(|(name, _)| name.to_owned()).collect(),
            unread: unread.into_iter().filter(|(is_there, _)| *is_there).map(|(_, what)| what).collect(),
        })
    }

    /// The services that the manifest is for: the named one, or all that mount secrets and all with the same images,
    /// because a manifest in an image is shared by its services. If some of those that mount secrets run cryokey,
    /// only these count.
    pub(super) fn concerned(&self, named: Option<&str>) -> Vec<&Service> {
        if let Some(named) = named {
            return self.services.iter().filter(|service| service.name == named).collect();
        }
        let is_known = self.services.iter().any(|service| service.runs_cryokey && !service.mounts.is_empty());
        let counts = |service: &&Service| !service.mounts.is_empty() && (service.runs_cryokey || !is_known);
        let images: HashSet<&str> =
            self.services.iter().filter(counts).map(|service| service.image.as_str()).collect();
        self.services.iter().filter(|service| images.contains(service.image.as_str())).collect()
    }
}

impl Service {
    /// Whether a variable or the command refers to this path.
    pub(super) fn mentions(&self, path: &str) -> bool {
        self.words.contains(path)
    }

    /// The path relative to the secrets directory; `None` if it is outside.
    pub(super) fn below_secrets<'a>(&self, path: &'a str) -> Option<&'a str> {
        let directory = self.environment.get(VARIABLE.secrets_dir).and_then(Option::as_deref);
        let directory = directory.filter(|directory| !directory.is_empty()).unwrap_or(SECRETS_DIR);
        path.strip_prefix(directory.trim_end_matches('/'))?.strip_prefix('/')
    }

    /// The remote providers that supply secrets too, whose names this file does not know. All of them, if their variable
    /// is known only when Compose runs.
    pub(super) fn remote_providers(&self) -> Vec<Source> {
        let value = |name: &str| self.environment.get(name).map(Option::as_deref);
        let external = value(VARIABLE.external);
        let is_named = |source: &Source| match external {
            Some(Some(list)) => list.split(',').any(|word| word.trim() == source.word()),
            Some(None) => true,
            None => false,
        };
        let is_cluster = value(VARIABLE.kubernetes_secrets).is_some_and(|value| value != Some(""));
        let external = Source::ALL.into_iter().filter(|source| source.is_external()).filter(is_named);
        external.chain(is_cluster.then_some(Source::Kubernetes)).collect()
    }

    /// The environment that the service's variables select.
    pub(super) fn environment_selection(&self) -> Selected<'_> {
        let variables = [variable::ENVIRONMENT, variable::APP_ENV, variable::FLASK_ENV];
        let set = variables.iter().filter_map(|name| self.environment.get(*name));
        let set: Vec<Option<&str>> = set.map(Option::as_deref).filter(|value| *value != Some("")).collect();
        match set.iter().copied().collect::<Option<Vec<&str>>>() {
            Some(values) if values.is_empty() && !self.has_env_file => Selected::Nothing,
            Some(values) if !values.is_empty() => Selected::These(values),
            _ => Selected::Unknown,
        }
    }

    /// The color that the service's variables select.
    pub(super) fn color(&self) -> Option<&str> {
        self.environment.get(variable::DEPLOYMENT_COLOR)?.as_deref().filter(|color| !color.is_empty())
    }
}

/// The result of a selection by variables.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selected<'a> {
    Nothing,
    These(Vec<&'a str>),
    /// The values are known only when Compose runs.
    Unknown,
}

fn service((name, node): (&str, &Node)) -> Service {
    let environment = environment(node.entry("environment"));
    let commands = || [node.entry("command"), node.entry("entrypoint")].into_iter().flatten();
    let spoken: Vec<&str> = commands().flat_map(texts).collect();
    let values = environment.values().flatten().map(String::as_str);
    Service {
        name: name.to_owned(),
        image: image(name, node),
        mounts: node.entry("secrets").into_iter().flat_map(Node::items).filter_map(mount).collect(),
        words: values.chain(spoken.iter().copied()).flat_map(words).collect(),
        runs_cryokey: spoken.iter().any(|text| text.contains("cryokey")),
        has_extends: node.entry("extends").is_some(),
        has_env_file: node.entry("env_file").is_some(),
        path_variables: path_variables(&environment),
        environment,
    }
}

fn path_variables(environment: &BTreeMap<String, Option<String>>) -> HashMap<String, Vec<String>> {
    let mut variables: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in environment {
        let path = value.as_deref().filter(|value| value.starts_with('/')).and_then(absolute);
        if let Some(path) = path {
            variables.entry(path).or_default().push(name.clone());
        }
    }
    variables
}

fn image(name: &str, node: &Node) -> String {
    if let Some(image) = node.entry("image").and_then(Node::text) {
        return image.to_owned();
    }
    let Some(build) = node.entry("build") else { return format!("service {name}") };
    let part = |key| build.entry(key).and_then(Node::text).unwrap_or_default();
    let context = build.text().unwrap_or_else(|| part("context"));
    format!("build {context} {} {}", part("dockerfile"), part("target"))
}

/// Parses a service's secret, in the short or the long syntax.
fn mount(node: &Node) -> Option<Mount> {
    let source = node.text().or_else(|| node.entry("source").and_then(Node::text))?;
    let target = node.entry("target").and_then(Node::text).unwrap_or(source);
    let is_known = literal(source).is_some();
    let path = literal(target).filter(|_| is_known).and_then(|target| absolute(&target));
    Some(Mount { source: source.to_owned(), path })
}

/// Normalizes a target to an absolute path; a relative one is below `/run/secrets`. `None` if it contains `..`.
fn absolute(target: &str) -> Option<String> {
    let start = if target.starts_with('/') { "" } else { SECRETS_DIR };
    let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let is_plain = !parts.is_empty() && !parts.contains(&"..");
    is_plain.then(|| format!("{start}/{}", parts.join("/")))
}

fn environment(node: Option<&Node>) -> BTreeMap<String, Option<String>> {
    let Some(node) = node else { return BTreeMap::new() };
    let of_map = node.entries().map(|(name, value)| (name.to_owned(), value.text().and_then(literal)));
    let of_list = node.items().filter_map(Node::text).map(|text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), literal(value)),
        None => (text.to_owned(), None),
    });
    of_map.chain(of_list).collect()
}

/// Replaces `$$` by `$`; `None` if the text contains a variable reference such as `${X}`.
fn literal(text: &str) -> Option<String> {
    let without_escapes = text.replace("$$", "");
    (!without_escapes.contains('$')).then(|| text.replace("$$", "$"))
}

/// The texts of a command, which is a string or a list of strings.
fn texts(node: &Node) -> impl Iterator<Item = &str> {
    node.text().into_iter().chain(node.items().filter_map(Node::text))
}

/// The absolute paths in a text, with empty and `.` components removed.
fn words(text: &str) -> impl Iterator<Item = String> {
    let ends = |character: char| character.is_whitespace() || "=:,;\"'`()&|<>@".contains(character);
    let paths = text.split(ends).filter(|word| word.starts_with('/'));
    [text].into_iter().filter(|text| text.starts_with('/')).chain(paths).filter_map(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<Option<String>> {
        let compose = Compose::parse(text).unwrap();
        compose.services.into_iter().flat_map(|service| service.mounts).map(|mount| mount.path).collect()
    }

    #[test]
    fn a_secret_is_where_its_target_says_below_run_secrets() {
        let secrets = "[a, {source: b}, {source: c, target: d}, {source: e, target: team/f}, {source: g, target: /h//i}]";
        let text = format!("services: {{app: {{secrets: {secrets}}}}}");
        let expected = ["/run/secrets/a", "/run/secrets/b", "/run/secrets/d", "/run/secrets/team/f", "/h/i"];
        assert_eq!(paths(&text), expected.map(|path| Some(path.to_owned())));
    }

    #[test]
    fn a_path_that_depends_on_a_variable_or_leaves_its_place_is_not_known() {
        let secrets = "['${A}', '$A', {source: a, target: '${B:-c}'}, {source: d, target: ../e}, 'f$$g']";
        let text = format!("services: {{app: {{secrets: {secrets}}}}}");
        assert_eq!(paths(&text), [None, None, None, None, Some("/run/secrets/f$g".to_owned())]);
    }

    #[test]
    fn what_has_no_services_has_no_mounts() {
        for text in ["", "services: 3\nsecrets: [a]\n", "services: {a: , b: {secrets: {c: d}}}"] {
            assert!(paths(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_path_is_found_in_commands_and_addresses() {
        let text = "services: {app: {command: 'sh -c \"app --key=/run/secrets/a\"', environment: ['U=file:///run//secrets/b']}}";
        let compose = Compose::parse(text).unwrap();
        let service = &compose.services[0];
        assert!(service.mentions("/run/secrets/a") && service.mentions("/run/secrets/b"), "{service:?}");
        assert!(!service.mentions("/run/secrets"));
    }

    #[test]
    fn services_of_one_image_are_concerned_together_and_those_that_run_cryokey_alone() {
        let concerned = |text: &str, named| {
            let compose = Compose::parse(text).unwrap();
            compose.concerned(named).iter().map(|service| service.name.clone()).collect::<Vec<_>>()
        };
        let text = "services: {a: {image: x, secrets: [s]}, b: {image: x}, c: {image: y}, d: {build: ., secrets: [s]}}";
        assert_eq!(concerned(text, None), ["a", "b", "d"]);
        assert_eq!(concerned(text, Some("d")), ["d"]);
        let text = "services: {a: {image: x, secrets: [s]}, d: {build: ., entrypoint: [cryokey, run], secrets: [s]}}";
        assert_eq!(concerned(text, None), ["d"]);
    }
}
