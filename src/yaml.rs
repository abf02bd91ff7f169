//! YAML as a tree, with anchors, aliases and merge keys (`<<`) resolved. The size limit applies to the expanded tree. Its
//! texts can be secret: they are wiped when dropped, and no `Debug` shows them. What remains unwiped: a text in quotes or
//! of several lines passes through buffers of the parser.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};
use zeroize::Zeroizing;

/// The maximum nesting depth.
const DEEPEST: usize = 64;

/// The maximum number of nodes. A node counts once per reference, which stops "billion laughs" documents.
const MOST_NODES: usize = 50_000;

/// Why a document was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYaml {
    /// Invalid YAML, with line and column.
    Syntax(usize, usize),
    /// The nesting exceeds the limit.
    TooDeep,
    /// The size exceeds the limit, with aliases expanded.
    TooLarge,
    /// There is more than one document, or a map has a key twice.
    Ambiguous,
}

impl NotYaml {
    /// The error as part of a message about this file.
    #[must_use]
    pub fn what(&self, file: &str) -> String {
        match self {
            Self::Syntax(line, column) => format!("{file}:{line}:{column}: this is not YAML"),
            Self::TooDeep => format!("{file} is nested deeper than {DEEPEST} levels"),
            Self::TooLarge => format!("{file} has more than {MOST_NODES} values, with aliases expanded"),
            Self::Ambiguous => format!("{file} has more than one document, or a key twice in one place"),
        }
    }
}

/// A YAML value, reduced to what Compose files and kubeconfigs need. Aliased values are shared, not copied.
pub enum Node {
    Scalar(Zeroizing<String>),
    List(Vec<Rc<Self>>),
    Map(BTreeMap<String, Rc<Self>>),
    /// A value tagged `!reset`; maps drop it.
    Reset,
    /// Null, or a node without meaning here.
    Other,
}

impl Node {
    /// Parses the first document, and reports whether more follow.
    pub fn parse(text: &str) -> Result<(Rc<Self>, bool), NotYaml> {
        let mut reader = Reader::new(text);
        let document = reader.document()?;
        let has_more = reader.has_more()?;
        Ok((document, has_more))
    }

    /// Parses the only document, whose maps must not have a key twice.
    pub fn parse_strictly(text: &str) -> Result<Rc<Self>, NotYaml> {
        let mut reader = Reader::new(text);
        let document = reader.document()?;
        if reader.has_more()? || reader.has_repetition { Err(NotYaml::Ambiguous) } else { Ok(document) }
    }

    pub fn entry(&self, key: &str) -> Option<&Self> {
        if let Self::Map(entries) = self { entries.get(key).map(Rc::as_ref) } else { None }
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = if let Self::Map(entries) = self { Some(entries) } else { None };
        entries.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    pub fn items(&self) -> impl Iterator<Item = &Self> {
        let items = if let Self::List(items) = self { items.as_slice() } else { &[] };
        items.iter().map(Rc::as_ref)
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Scalar(text) = self { Some(text) } else { None }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// The node of each anchor, and its expanded size.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    /// The number of nodes so far, with aliases expanded.
    count: usize,
    /// Whether a map has a key twice.
    has_repetition: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let events = Parser::new_from_str(text);
        Self { events, anchors: HashMap::new(), count: 0, has_repetition: false }
    }

    fn document(&mut self) -> Result<Rc<Node>, NotYaml> {
        loop {
            match self.next()? {
                None | Some(Event::StreamEnd) => return Ok(Rc::new(Node::Other)),
                Some(Event::StreamStart | Event::DocumentStart(_)) => {}
                Some(event) => return self.node(event, 0),
            }
        }
    }

    fn has_more(&mut self) -> Result<bool, NotYaml> {
        while let Some(event) = self.next()? {
            if matches!(event, Event::DocumentStart(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Rc<Node>, NotYaml> {
        if depth > DEEPEST {
            return Err(NotYaml::TooDeep);
        }
        let before = self.count;
        self.grow(1)?;
        let is_reset = is_reset(&event);
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor),
            Event::Scalar(text, style, anchor, _) => (scalar(text.into_owned(), style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => (Node::Other, 0),
        };
        let node = Rc::new(if is_reset { Node::Reset } else { node });
        // Registered only when complete, so that no value can contain itself. Anchor 0 means none.
        if anchor != 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), self.count - before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize) -> Result<Rc<Node>, NotYaml> {
        let Some((node, size)) = self.anchors.get(&anchor).map(|(node, size)| (Rc::clone(node), *size))
        else {
            return Ok(Rc::new(Node::Other));
        };
        self.grow(size)?;
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, NotYaml> {
        let mut items = Vec::new();
        while let Some(event) = self.next()?.filter(|event| *event != Event::SequenceEnd) {
            items.push(self.node(event, depth + 1)?);
        }
        Ok(Node::List(items))
    }

    /// Parses a map. Its own keys, including reset ones, override merged ones; among merged maps, the first one wins.
    fn map(&mut self, depth: usize) -> Result<Node, NotYaml> {
        let (mut entries, mut merged) = (BTreeMap::new(), Vec::new());
        while let Some(event) = self.next()?.filter(|event| *event != Event::MappingEnd) {
            let is_merge = matches!(&event, Event::Scalar(key, ScalarStyle::Plain, ..) if key == "<<");
            let key = self.node(event, depth + 1)?;
            let Some(event) = self.next()? else { break };
            let value = self.node(event, depth + 1)?;
            match key.text() {
                _ if is_merge => merged.push(value),
                Some(key) => match entries.entry(key.to_owned()) {
                    Entry::Vacant(entry) => drop(entry.insert(value)),
                    Entry::Occupied(_) => self.has_repetition = true,
                },
                None => {}
            }
        }
        for value in merged {
            let several = value.items().map(Node::shared_entries);
            for (key, value) in several.chain([value.shared_entries()]).flatten() {
                entries.entry(key.clone()).or_insert_with(|| Rc::clone(value));
            }
        }
        entries.retain(|_, value| !matches!(**value, Node::Reset));
        Ok(Node::Map(entries))
    }

    fn grow(&mut self, size: usize) -> Result<(), NotYaml> {
        self.count = self.count.saturating_add(size);
        if self.count > MOST_NODES { Err(NotYaml::TooLarge) } else { Ok(()) }
    }

    fn next(&mut self) -> Result<Option<Event<'a>>, NotYaml> {
        let syntax = |error: ScanError| NotYaml::Syntax(error.marker().line(), error.marker().col() + 1);
        self.events.next_event().transpose().map(|event| event.map(|(event, _)| event)).map_err(syntax)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Node(hidden)")
    }
}

impl Node {
    fn shared_entries(&self) -> impl Iterator<Item = (&String, &Rc<Self>)> {
        let entries = if let Self::Map(entries) = self { Some(entries) } else { None };
        entries.into_iter().flatten()
    }
}

/// Compose's tag that removes a value set by an earlier file.
fn is_reset(event: &Event<'_>) -> bool {
    let (Event::Scalar(.., tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag)) = event else {
        return false;
    };
    tag.as_ref().is_some_and(|tag| tag.handle == "!" && tag.suffix == "reset")
}

fn scalar(text: String, style: ScalarStyle) -> Node {
    let is_null = style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if is_null { Node::Other } else { Node::Scalar(Zeroizing::new(text)) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn at(text: &str, path: &[&str]) -> Option<String> {
        let (root, _) = Node::parse(text).unwrap();
        let node = path.iter().try_fold(root.as_ref(), |node, key| node.entry(key));
        node.and_then(Node::text).map(str::to_owned)
    }

    #[test]
    fn an_alias_stands_for_its_anchor() {
        assert_eq!(at("a: &a {b: c}\nd: *a\n", &["d", "b"]).unwrap(), "c");
        assert_eq!(at("a: &a c\nd: {e: *a}\n", &["d", "e"]).unwrap(), "c");
    }

    #[test]
    fn own_keys_override_merged_ones_and_the_first_merged_map_counts() {
        let text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  x: 0\n  <<: [*a, *b]\nd: {<<: *b, y: 3}\n";
        let got = |key, entry| at(text, &[key, entry]).unwrap();
        assert_eq!([got("c", "x"), got("c", "y"), got("c", "z"), got("d", "y")], ["0", "1", "2", "3"]);
    }

    #[test]
    fn a_merge_key_in_quotes_is_a_key() {
        assert_eq!(at("c: {'<<': {x: 1}}\n", &["c", "<<", "x"]).unwrap(), "1");
        assert_eq!(at("c: {'<<': {x: 1}}\n", &["c", "x"]), None);
    }

    #[test]
    fn what_is_reset_is_not_there_and_not_merged_either() {
        let text =
            "b: &b {x: 1, y: 1, z: 1, w: 1}\nc: {<<: *b, x: !reset null, y: !reset [], z: !reset {a: 2}}\n";
        let (root, _) = Node::parse(text).unwrap();
        let keys: Vec<&str> = root.entry("c").unwrap().entries().map(|(key, _)| key).collect();
        assert_eq!(keys, ["w"]);
        assert_eq!(at("x: !override 2\n", &["x"]).unwrap(), "2");
    }

    #[test]
    fn a_strict_reader_refuses_what_two_readers_could_read_differently() {
        for text in ["a: 1\na: 2\n", "a: 1\n---\nb: 1\n", "a: [{b: 1, 'b': 2}]\n"] {
            assert_eq!(Node::parse_strictly(text).unwrap_err(), NotYaml::Ambiguous, "{text}");
        }
        assert!(Node::parse_strictly("a: 1\nb: {a: 1}\n").is_ok());
    }

    #[test]
    fn debug_shows_no_text() {
        assert!(!format!("{:?}", Node::parse("a: canary\n").unwrap()).contains("canary"));
    }

    #[test]
    fn further_documents_are_noticed() {
        assert!(Node::parse("a: 1\n---\nb: 1\n").unwrap().1);
        assert!(!Node::parse("a: 1\n").unwrap().1);
    }

    #[test]
    fn an_anchor_within_itself_is_harmless() {
        assert!(Node::parse("a: &a [*a]\nb: *a\n").is_ok_and(|(root, _)| root.entry("b").is_some()));
    }

    #[test]
    fn broken_and_deep_yaml_is_refused() {
        assert!(matches!(Node::parse("a: [1\nb: {"), Err(NotYaml::Syntax(..))));
        assert!(Node::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn what_grows_by_aliases_is_refused_before_it_grows() {
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..30 {
            let last = level - 1;
            let _ = writeln!(laughs, "a{level}: &a{level} [*a{last},*a{last},*a{last},*a{last},*a{last}]");
        }
        assert!(matches!(Node::parse(&laughs), Err(NotYaml::TooLarge)));
        let mut merges = String::from("b: &b {");
        (0..1_000).for_each(|key| write!(merges, "k{key}: 1, ").unwrap());
        merges.push_str("}\n");
        (0..1_000).for_each(|key| writeln!(merges, "m{key}: {{<<: *b}}").unwrap());
        assert!(matches!(Node::parse(&merges), Err(NotYaml::TooLarge)));
    }
}
