//! Reads tables of a TOML document, records which keys were read, and collects problems.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::error::Problem;
use crate::escape::escaped;
use crate::name::{EnvName, Variant};
use crate::provider::reference::Reference;
use crate::setting::Reader;
use crate::suggest::did_you_mean;
use crate::syntax::{List, Syntax};

/// More would not be read, and finding line and column of each takes time proportional to the file.
const MOST_PROBLEMS: usize = 20;

/// A document and the problems found in it so far.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    table: DeTable<'a>,
    problems: RefCell<Vec<(usize, Problem)>>,
}

pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    keys: &'a DeTable<'a>,
    /// Such as `secret.DATABASE_URL`; empty at the top level.
    path: String,
    /// Byte offset of its name.
    position: usize,
    /// A list, because it is short and created for every table.
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str, file: &'a str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let problems = RefCell::default();
            return Ok(Self { file, text, table: table.into_inner(), problems });
        }
        Err(errors.iter().take(MOST_PROBLEMS).map(|error| syntax(error, text, file)).collect())
    }

    pub(super) fn root(&'a self) -> Table<'a> {
        Table {
            document: self,
            keys: &self.table,
            path: String::new(),
            position: 0,
            asked: RefCell::default(),
        }
    }

    /// `Err` holds every problem, in the order of the file.
    pub(super) fn into_result<T>(self, read: T) -> Result<T, Vec<Problem>> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            return Ok(read);
        }
        problems.sort_by_key(|(position, _)| *position);
        Err(problems.into_iter().map(|(_, problem)| problem).collect())
    }

    fn wrong(&self, position: usize, name: &str, what: &str, fix: &str) {
        if self.problems.borrow().len() == MOST_PROBLEMS {
            return;
        }
        let place = place(self.text, position);
        let what = format!("{}:{place}: `{}`: {what}", self.file, escaped(name));
        self.problems.borrow_mut().push((position, Problem::configuration(escaped(name), what, fix)));
    }
}

fn syntax(error: &toml::de::Error, text: &str, file: &str) -> Problem {
    let place = place(text, error.span().map_or(0, |span| span.start));
    let message = error.message().replace('\n', ", ");
    let message = escaped(&message);
    Problem::configuration(
        escaped(file),
        format!("{file}:{place}: {message}"),
        "correct the file; it must be TOML 1.0, and `cryokey init` writes an example",
    )
}

/// Line and column, both from 1; the column counts characters.
fn place(text: &str, position: usize) -> String {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}")
}

/// A key as it must be written: quoted, unless it is a bare key (TOML 1.0, "Keys").
fn as_written(key: &str) -> Cow<'_, str> {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_all_bare = !key.is_empty() && key.bytes().all(is_bare);
    if is_all_bare { key.into() } else { format!("\"{key}\"").into() }
}

impl<'a> Table<'a> {
    pub(super) fn value<S: Syntax>(&self, key: &'static str) -> Option<S::Value> {
        let (_, value) = self.item(key)?;
        let read = S::from_toml(value.get_ref());
        if read.is_none() {
            self.wrong(key, &mistake(S::TOML_TYPE, value.get_ref()), &format!("write {}", S::usage()));
        }
        read
    }

    pub(super) fn variants(&self, key: &'static str) -> Vec<Variant> {
        self.each(key, |text| Variant::parse(text).map_err(|why| why.0.to_owned()))
    }

    pub(super) fn names(&self, key: &'static str) -> Vec<EnvName> {
        self.each(key, |text| EnvName::parse(text).map_err(|why| why.0.to_owned()))
    }

    pub(super) fn references(&self, key: &'static str) -> Vec<Reference> {
        self.each(key, |text| Reference::parse(text).map_err(|why| why.to_string()))
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let item = self.item(key)?;
        self.child(key, item)
    }

    /// The tables in this one, of any name.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&'a str, Table<'a>)> {
        self.keys.iter().filter_map(|(key, value)| {
            let table = self.child(key.get_ref(), (key.span(), value))?;
            Some((key.get_ref().as_ref(), table))
        })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Reports the keys that were not read.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.keys {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let what = "unknown key".to_owned() + &did_you_mean(name, asked.iter().copied());
            let fix = "correct or remove the key; docs/manifest.md lists all keys";
            self.document.wrong(key.span().start, &self.full(name), &what, fix);
        }
    }

    /// Reports a key at its value, or at the table if the key does not exist.
    pub(super) fn wrong(&self, key: &str, what: &str, fix: &str) {
        let at = self.keys.get(key).map_or(self.position, |value| value.span().start);
        self.document.wrong(at, &self.full(key), what, fix);
    }

    /// Reports the table as a whole.
    pub(super) fn wrong_self(&self, what: &str, fix: &str) {
        self.document.wrong(self.position, &self.path, what, fix);
    }

    /// Reports the name of this table.
    pub(super) fn wrong_name(&self, what: &str) {
        self.document.wrong(self.position, &self.path, what, "use upper-case letters, digits and `_`");
    }

    fn each<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let mut read = Vec::new();
        for text in self.value::<List>(key).unwrap_or_default() {
            match parse(&text) {
                Ok(item) => read.push(item),
                Err(why) => self.wrong(key, &format!("`{}`: {why}", escaped(&text)), "correct or remove it"),
            }
        }
        read
    }

    fn item(&self, key: &'static str) -> Option<(Range<usize>, &'a Spanned<DeValue<'a>>)> {
        self.asked.borrow_mut().push(key);
        self.keys.get_key_value(key).map(|(key, value)| (key.span(), value))
    }

    fn child(&self, key: &str, (span, value): (Range<usize>, &'a Spanned<DeValue<'a>>)) -> Option<Table<'a>> {
        let path = self.full(key);
        let Some(table) = value.get_ref().as_table() else {
            let what = mistake("table", value.get_ref());
            self.document.wrong(span.start, &path, &what, "write a table");
            return None;
        };
        Some(Table {
            document: self.document,
            keys: table,
            path,
            position: span.start,
            asked: RefCell::default(),
        })
    }

    fn full(&self, key: &str) -> String {
        let key = as_written(key);
        if self.path.is_empty() { key.into_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The keys that were read, for a comparison with the schema.
    #[cfg(test)]
    pub(super) fn asked(&self) -> std::collections::BTreeSet<&'static str> {
        self.asked.borrow().iter().copied().collect()
    }
}

/// The settings: keys of the top level, and of the table `[process]`, if the manifest has it.
pub(super) struct Settings<'t, 'a> {
    pub(super) root: &'t Table<'a>,
    pub(super) process: Option<&'t Table<'a>>,
}

impl Reader for Settings<'_, '_> {
    fn read<S: Syntax>(&self, _variable: &'static str, key: Option<&'static str>) -> Option<S::Value> {
        match key?.strip_prefix("process.") {
            Some(key) => self.process?.value::<S>(key),
            None => self.root.value::<S>(key?),
        }
    }
}

/// Why a value cannot be read.
fn mistake(expected: &str, value: &DeValue<'_>) -> String {
    let found = value.type_str();
    if found != expected {
        return format!("expected {}, found {}", with_article(expected), with_article(found));
    }
    match value.as_str().or_else(|| value.as_integer().map(DeInteger::as_str)) {
        Some(text) => format!("invalid value `{}`", escaped(text)),
        None => format!("invalid {found}"),
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;

    #[test]
    fn a_key_that_needs_quotes_is_reported_with_them() {
        for (text, named) in
            [("[\"\"]", "`\"\"`"), ("[env]\n\"a.b\" = 1", "`env.\"a.b\"`"), ("a-b = 1", "`a-b`")]
        {
            let problems = Manifest::parse(text, "x").unwrap_err();
            assert!(problems.iter().any(|problem| problem.what.contains(named)), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.names.iter().all(|name| !name.is_empty())));
        }
    }
}
