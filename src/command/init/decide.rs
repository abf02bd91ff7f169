//! Decides what the manifest declares. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::{Selected, Service};
use super::kind;
use super::offers::{DANGEROUS, Offer, Offers, ROTATION_STAMP, Via};
use super::variants::Variants;
use crate::environ::variable;
use crate::escape::escaped;
use crate::manifest::{Deliver, SecretRule};
use crate::name::{EnvName, Variant};
use crate::provider::file_variables;
use crate::provider::reference::Reference;

/// A source of names: a service, a directory, or an example file.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) label: String,
    pub(super) offers: Offers,
    pub(super) role: Role<'a>,
}

/// Whether a place's secrets will exist when the app starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// A service: what it mounts will exist.
    Service(&'a Service),
    /// A directory: its present files are taken as required, unless there are services.
    Directory,
    /// A list of names only.
    Example,
}

/// The content of the manifest.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) environments: BTreeSet<Variant>,
    pub(super) colors: BTreeSet<Variant>,
    pub(super) secrets: Vec<Declared>,
    /// Names that are not declared, each with its place and the reason.
    pub(super) left_out: Vec<String>,
    /// Whether a remote provider supplies secrets that are not declared.
    pub(super) has_remote_provider: bool,
    /// Actions required before a service can start.
    pub(super) warnings: Vec<String>,
}

/// A secret to declare. The comments say where it was found.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: EnvName,
    pub(super) rule: SecretRule,
    pub(super) comments: Vec<String>,
}

/// All offers that map to one name.
#[derive(Debug)]
struct Group<'a> {
    name: EnvName,
    members: Vec<Member<'a>>,
}

#[derive(Debug, Clone)]
struct Member<'a> {
    place: usize,
    variant: Option<Variant>,
    offer: &'a Offer,
}

/// Decides which secrets to declare, and with which rules.
pub(super) fn decide(places: &[Place<'_>]) -> Decision {
    let variants = variants(places);
    let has_remote = |service: &Service| !service.remote_providers().is_empty();
    let has_remote_provider = places.iter().filter_map(Place::service).any(has_remote);
    let mut decision = Decision { has_remote_provider, ..Decision::default() };
    for place in places {
        let left_out = place.offers.left_out.iter();
        decision.left_out.extend(left_out.map(|(key, why)| left_out_line(key, &place.label, why)));
    }
    let forbidden = forbidden(places);
    let mut groups = Vec::new();
    for mut group in grouped(places, &variants) {
        let why = group.forbidden(&forbidden);
        let excludes = group.excludes_references();
        group.drop_members(&mut decision, places, |member| {
            let is_excluded = excludes && matches!(member.offer.via, Via::Reference(_));
            why.clone().or_else(|| is_excluded.then(|| NO_REFERENCE.to_owned()))
        });
        groups.extend((!group.members.is_empty()).then_some(group));
    }
    settle_keys(&mut groups, &mut decision, places);
    let offered = offered_environments(&groups, places.len());
    decision.warnings = unselected(places, &offered, &variants);
    let served = places.iter().zip(&offered);
    let served = served.map(|(place, offered)| Some(Served::new(place.service()?, offered, &variants)));
    let served: Vec<Option<Served<'_>>> = served.collect();
    decision.secrets = groups.iter().map(|group| declared(group, &served, places)).collect();
    drop(served);
    Decision { environments: variants.environments, colors: variants.colors, ..decision }
}

fn variants(places: &[Place<'_>]) -> Variants {
    let names = places.iter().flat_map(|place| place.offers.all.iter().map(|offer| &offer.name));
    let services = || places.iter().filter_map(Place::service);
    let environments: BTreeSet<Variant> =
        services().flat_map(|service| parsed(service.environment_selection().words())).collect();
    let colors: BTreeSet<Variant> =
        services().flat_map(|service| parsed(service.color().into_iter().collect())).collect();
    let mut variants = Variants::of(names, &environments, &colors);
    // cryokey refuses to start if CRYOKEY_ENVIRONMENT selects an undeclared environment.
    let own = services().filter_map(|service| service.environment.get(variable::ENVIRONMENT)?.as_deref());
    variants.colors.extend(colors);
    variants.environments.extend(parsed(own.collect()));
    variants.environments.retain(|environment| !variants.colors.contains(environment));
    variants
}

fn parsed(words: Vec<&str>) -> impl Iterator<Item = Variant> {
    words.into_iter().filter_map(|word| Variant::parse(word).ok())
}

fn grouped<'a>(places: &'a [Place<'_>], variants: &Variants) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<EnvName, Vec<Member<'a>>> = BTreeMap::new();
    let prefixes = variants.splitter();
    for (place, offers) in places.iter().map(|place| &place.offers).enumerate() {
        for offer in &offers.all {
            let (variant, name) = prefixes.split(&offer.name);
            let member = Member { place, variant: variant.cloned(), offer };
            groups.entry(name).or_default().push(member);
        }
    }
    groups.into_iter().map(|(name, members)| Group { name, members }).collect()
}

/// Names that must not be declared, because in some place the variable of that name has another meaning.
fn forbidden<'a>(places: &'a [Place<'_>]) -> BTreeMap<&'a EnvName, String> {
    let mut forbidden = BTreeMap::new();
    for place in places {
        for (name, why) in &place.offers.forbidden {
            forbidden.entry(name).or_insert_with(|| format!("{why} ({})", place.label));
        }
    }
    forbidden
}

/// A `from` replaces the search by name, so it cannot be combined with variables or prefixed names.
const NO_REFERENCE: &str = "no name leads to its path; add a `from` by hand";

impl<'a> Group<'a> {
    /// The reason not to declare this name.
    fn forbidden(&self, forbidden: &BTreeMap<&EnvName, String>) -> Option<String> {
        if self.name.as_str() == variable::SECRET_ROTATION_TIMESTAMP {
            return Some(ROTATION_STAMP.to_owned());
        }
        if self.name.is_dangerous() {
            return Some(DANGEROUS.to_owned());
        }
        let mut names =
            std::iter::once(&self.name).chain(self.members.iter().map(|member| &member.offer.name));
        names.find_map(|name| forbidden.get(name)).cloned()
    }

    fn excludes_references(&self) -> bool {
        let excludes =
            |member: &Member<'_>| member.variant.is_some() || matches!(member.offer.via, Via::Variable(_));
        self.members.iter().any(excludes)
    }

    /// Removes the members for which `why` gives a reason, and records it.
    fn drop_members(
        &mut self,
        decision: &mut Decision,
        places: &[Place<'_>],
        why: impl Fn(&Member<'a>) -> Option<String>,
    ) {
        let (mut kept, mut lines) = (Vec::new(), Vec::new());
        for member in &self.members {
            match why(member) {
                Some(why) => lines.push(left_out_line(&member.offer.key, &label(places, member.place), &why)),
                None => kept.push(member.clone()),
            }
        }
        self.members = kept;
        decision.left_out.extend(lines);
    }

    fn deliver(&self) -> Deliver {
        let is = |test: fn(&str) -> bool| {
            test(self.name.as_str()) || self.members.iter().any(|member| test(&member.offer.key))
        };
        let is_named = |member: &Member<'_>| matches!(member.offer.via, Via::Variable(_));
        // If a variable holds the path of an SSH key, the app reads the key from that path.
        let is_key = kind::is_ssh_key(self.name.as_str());
        let is_mounted = self.members.iter().any(|member| member.offer.via != Via::Name);
        match self.members.iter().any(is_named) {
            true if is_key || is(kind::is_key_file) => Deliver::File,
            false if is_key => Deliver::Ssh,
            false if is_mounted && is(kind::is_key_file) => Deliver::File,
            _ => Deliver::Env,
        }
    }

    fn references(&self) -> Vec<Reference> {
        if !self.members.iter().any(|member| matches!(member.offer.via, Via::Reference(_))) {
            return Vec::new();
        }
        let mut references: Vec<Reference> = Vec::new();
        for member in &self.members {
            let reference = match &member.offer.via {
                Via::Reference(reference) => Some(reference.clone()),
                Via::File => Reference::parse(&format!("files:{}", member.offer.key)).ok(),
                Via::Variable(_) | Via::Name => None,
            };
            references.extend(reference.filter(|reference| !references.contains(reference)));
        }
        references
    }
}

/// Drops further SSH keys, since all would have the same default path, and names that equal the `NAME_FILE` variable
/// of a secret that is delivered as a file.
fn settle_keys(groups: &mut Vec<Group<'_>>, decision: &mut Decision, places: &[Place<'_>]) {
    let mut keys: Vec<EnvName> = groups
        .iter()
        .filter(|group| group.deliver() == Deliver::Ssh)
        .map(|group| group.name.clone())
        .collect();
    keys.sort_by_key(|name| name.as_str().len());
    let files: BTreeSet<String> = groups
        .iter()
        .filter(|group| group.deliver() == Deliver::File)
        .map(|group| file_variables::of(group.name.as_str()))
        .collect();
    let second: BTreeSet<EnvName> = keys.into_iter().skip(1).collect();
    for group in groups.iter_mut() {
        let is_second = second.contains(&group.name);
        let is_taken = files.contains(group.name.as_str());
        let why = match (is_second, is_taken) {
            (true, _) => Some("another SSH key is declared; declare this one with a `path` of its own"),
            (_, true) => Some("it is the variable of a secret that is delivered as a file"),
            _ => None,
        };
        group.drop_members(decision, places, |_| why.map(str::to_owned));
    }
    groups.retain(|group| !group.members.is_empty());
}

/// For each place, the environments for which it has secrets.
fn offered_environments(groups: &[Group<'_>], places: usize) -> Vec<BTreeSet<Variant>> {
    let mut offered = vec![BTreeSet::new(); places];
    for member in
        groups.iter().filter(|group| group.deliver() != Deliver::Ssh).flat_map(|group| &group.members)
    {
        if let (Some(variant), Some(place)) = (&member.variant, offered.get_mut(member.place)) {
            place.insert(variant.clone());
        }
    }
    offered
}

/// Warns about services that mount secrets of several environments without selecting one.
fn unselected(places: &[Place<'_>], offered: &[BTreeSet<Variant>], variants: &Variants) -> Vec<String> {
    let mut warnings = Vec::new();
    for (place, offered) in places.iter().zip(offered) {
        let words: Vec<&str> = offered.intersection(&variants.environments).map(Variant::as_str).collect();
        let is_open = place.service().is_some_and(|service| {
            let is_known = service.environment_selection() != Selected::Unknown;
            is_known && selected(service, offered, variants, Deliver::Env).is_none()
        });
        if words.len() > 1 && is_open {
            let (label, words) = (&place.label, words.join(", "));
            warnings.push(format!("{label} has secrets of {words}: set CRYOKEY_ENVIRONMENT to one of them"));
        }
    }
    warnings
}

fn declared(group: &Group<'_>, services: &[Option<Served<'_>>], places: &[Place<'_>]) -> Declared {
    let deliver = group.deliver();
    let served = |member: &Member<'_>| services.get(member.place).and_then(Option::as_ref);
    let has = |member: &&Member<'_>| served(member).is_some_and(|served| served.has(member, deliver));
    let having: BTreeSet<usize> = group.members.iter().filter(has).map(|member| member.place).collect();
    let mut lacking = (0..).zip(services).filter(|(at, it)| it.is_some() && !having.contains(at)).peekable();
    let is_in_directory = |member: &Member<'_>| {
        let place = places.get(member.place);
        member.variant.is_none() && place.is_some_and(|place| matches!(place.role, Role::Directory))
    };
    let required = if services.iter().any(Option::is_some) {
        lacking.peek().is_none()
    } else {
        group.members.iter().any(is_in_directory)
    };
    let found = group
        .members
        .iter()
        .map(|member| format!("{} ({})", label(places, member.place), escaped(&member.offer.key)));
    let mut comments = vec![format!("found in {}", found.collect::<Vec<_>>().join(", "))];
    if !required && group.members.iter().any(|member| served(member).is_some()) {
        let first = lacking.by_ref().take(MOST_LACKING).map(|(at, _)| label(places, at));
        let first = first.collect::<Vec<_>>().join(", ");
        let more = if lacking.peek().is_some() { ", …" } else { "" };
        comments.push(format!("optional: not certain to be in {first}{more}"));
    }
    if deliver == Deliver::Env && group.name.as_str().ends_with("_URL") {
        comments.push("add `format = \"url\"` to have it checked that it is one".into());
    }
    let rule = SecretRule { required, deliver, from: group.references(), ..SecretRule::DEFAULT };
    Declared { name: group.name.clone(), rule, comments }
}

/// The maximum number of services that a comment lists as lacking a secret.
const MOST_LACKING: usize = 8;

/// The variants that a service selects.
struct Served<'a> {
    color: Option<&'a str>,
    environment: Option<Variant>,
    /// The environment for SSH keys, which is never assumed.
    key_environment: Option<Variant>,
}

impl<'a> Served<'a> {
    fn new(service: &'a Service, offered: &BTreeSet<Variant>, variants: &Variants) -> Self {
        let environment = |deliver| selected(service, offered, variants, deliver);
        Self {
            color: service.color(),
            environment: environment(Deliver::Env),
            key_environment: environment(Deliver::Ssh),
        }
    }

    /// Whether the service is certain to have the secret whenever it starts.
    fn has(&self, member: &Member<'_>, deliver: Deliver) -> bool {
        let Some(variant) = &member.variant else { return true };
        let environment = if deliver == Deliver::Ssh { &self.key_environment } else { &self.environment };
        environment.as_ref() == Some(variant)
            || self.color.is_some_and(|color| color.eq_ignore_ascii_case(variant.as_str()))
    }
}

/// The environment that cryokey will use in a service.
fn selected(
    service: &Service,
    offered: &BTreeSet<Variant>,
    variants: &Variants,
    deliver: Deliver,
) -> Option<Variant> {
    match service.environment_selection() {
        Selected::Unknown => None,
        Selected::These(words) => parsed(words).find(|variant| variants.environments.contains(variant)),
        // A single environment is assumed by default, but not for SSH keys, which give access to other machines.
        Selected::Nothing if deliver == Deliver::Ssh => None,
        Selected::Nothing => {
            let mut offered = offered.intersection(&variants.environments);
            let only = offered.next().cloned();
            only.filter(|_| offered.next().is_none())
        }
    }
}

impl<'a> Place<'a> {
    fn service(&self) -> Option<&'a Service> {
        if let Role::Service(service) = self.role { Some(service) } else { None }
    }
}

impl<'a> Selected<'a> {
    fn words(self) -> Vec<&'a str> {
        if let Self::These(words) = self { words } else { Vec::new() }
    }
}

fn label(places: &[Place<'_>], at: usize) -> String {
    places.get(at).map(|place| place.label.clone()).unwrap_or_default()
}

fn left_out_line(key: &str, label: &str, why: &str) -> String {
    format!("{} ({label}): {why}", escaped(key))
}
