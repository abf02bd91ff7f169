//! The secrets that a compose file names (compose-spec, "Secrets top-level element" and the services' `secrets`).

use std::collections::BTreeSet;

use saphyr_parser::{Event, Parser, ScanError};

use crate::error::Problem;
use crate::escape::escaped;

/// Deeper files are not written by people.
const DEEPEST: usize = 64;

/// Why a compose file could not be read.
#[derive(Debug)]
pub enum NotCompose {
    /// It is no YAML, at this line and column.
    Syntax(usize, usize),
    /// Its nesting is deeper than any compose file's.
    TooDeep,
}

impl NotCompose {
    /// It as a problem with this file.
    #[must_use]
    pub fn problem(&self, file: &str) -> Problem {
        let what = match self {
            Self::Syntax(line, column) => format!("{file}:{line}:{column}: this is not YAML"),
            Self::TooDeep => format!("{file} is nested deeper than {DEEPEST} levels"),
        };
        Problem::configuration(escaped(file), what, "correct it, or name another file by --compose")
    }
}

/// A YAML value, as far as it matters here. Aliases are not followed, so nothing grows.
#[derive(Debug)]
enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Other,
}

/// The file names under which the services see their secrets; for those that no service uses, the declared keys.
pub fn secrets(text: &str) -> Result<Vec<String>, NotCompose> {
    let mut events = Parser::new_from_str(text);
    let document = document(&mut events)?;
    let mut names = Vec::new();
    let mut used = BTreeSet::new();
    for (_, service) in document.entry("services").map(Node::entries).unwrap_or_default() {
        for mounted in service.entry("secrets").map(Node::items).unwrap_or_default() {
            if let Some((source, target)) = mount(mounted) {
                used.insert(source);
                names.push(target.to_owned());
            }
        }
    }
    let declared = document.entry("secrets").map(Node::entries).unwrap_or_default();
    let unused = declared.iter().map(|(key, _)| key.clone()).filter(|key| !used.contains(key.as_str()));
    names.extend(unused);
    names.sort();
    names.dedup();
    Ok(names)
}

/// Source and file name of a service's secret, in the short and in the long form.
fn mount(mounted: &Node) -> Option<(&str, &str)> {
    match mounted {
        Node::Scalar(name) => Some((name, name)),
        map @ Node::Map(_) => {
            let source = map.entry("source").and_then(Node::text)?;
            let target = map.entry("target").and_then(Node::text).unwrap_or(source);
            Some((source, target.rsplit('/').next().unwrap_or(target)))
        }
        Node::List(_) | Node::Other => None,
    }
}

impl Node {
    fn entry(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn entries(&self) -> &[(String, Self)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Scalar(text) = self { Some(text) } else { None }
    }
}

type Events<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

fn document(events: &mut Events<'_>) -> Result<Node, NotCompose> {
    loop {
        match next(events)? {
            None | Some(Event::StreamEnd) => return Ok(Node::Other),
            Some(Event::StreamStart | Event::DocumentStart(_)) => {}
            Some(event) => return node(event, events, 0),
        }
    }
}

fn node(event: Event<'_>, events: &mut Events<'_>, depth: usize) -> Result<Node, NotCompose> {
    if depth > DEEPEST {
        return Err(NotCompose::TooDeep);
    }
    match event {
        Event::Scalar(text, ..) => Ok(Node::Scalar(text.into_owned())),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while let Some(event) = next(events)?.filter(|event| *event != Event::SequenceEnd) {
                items.push(node(event, events, depth + 1)?);
            }
            Ok(Node::List(items))
        }
        Event::MappingStart(..) => {
            let mut entries = Vec::new();
            while let Some(event) = next(events)?.filter(|event| *event != Event::MappingEnd) {
                let key = node(event, events, depth + 1)?;
                let Some(event) = next(events)? else { break };
                let value = node(event, events, depth + 1)?;
                entries.extend(key.text().map(|key| (key.to_owned(), value)));
            }
            Ok(Node::Map(entries))
        }
        _ => Ok(Node::Other),
    }
}

fn next<'a>(events: &mut Events<'a>) -> Result<Option<Event<'a>>, NotCompose> {
    let syntax = |error: ScanError| NotCompose::Syntax(error.marker().line(), error.marker().col() + 1);
    events.next_event().transpose().map(|event| event.map(|(event, _)| event)).map_err(syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_from_short_and_long_forms_and_unused_keys_as_they_are() {
        let text = "services:\n  app:\n    secrets:\n      - supabase_url\n      - source: key\n        target: SECRET_KEY\n  \
                    web:\n    secrets: [{source: key, target: sub/OTHER}]\nsecrets:\n  supabase_url: {external: true}\n  \
                    key: {file: ./k}\n  spare: {file: ./s}\n";
        assert_eq!(secrets(text).unwrap(), ["OTHER", "SECRET_KEY", "spare", "supabase_url"]);
    }

    #[test]
    fn what_has_no_secrets_has_none() {
        assert!(secrets("").unwrap().is_empty());
        assert!(secrets("services: 3\nsecrets: [a]\n").unwrap().is_empty());
    }

    #[test]
    fn broken_and_hostile_yaml_is_refused_or_harmless() {
        assert!(matches!(secrets("a: [1\nb: {"), Err(NotCompose::Syntax(..))));
        assert!(secrets(&"[".repeat(100_000)).is_err());
        let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nsecrets: *c\n";
        assert!(secrets(bomb).unwrap().is_empty());
    }
}
