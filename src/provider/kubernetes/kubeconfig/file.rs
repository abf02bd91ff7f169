//! A kubeconfig as a file: its named entries, and what is in them.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use super::error::{KubeconfigError, Section};
use crate::escape::{escaped, escaped_path};
use crate::provider::files::error::FileError;
use crate::provider::tls::{Pem, PemText};
use crate::provider::{Cause as _, ProviderError};
use crate::secret::Secret;
use crate::system::read;
use crate::yaml::Node;

/// A kubeconfig.
pub(super) struct Kubeconfig {
    path: PathBuf,
    root: Rc<Node>,
}

/// A map in a kubeconfig.
pub(super) struct Entry<'a> {
    node: &'a Node,
    /// The file, and what the entry is called there, escaped.
    pub(super) place: String,
    pub(super) directory: &'a Path,
}

impl Kubeconfig {
    pub(super) fn read(path: &Path) -> Result<Self, ProviderError> {
        let shown = escaped_path(path);
        let (bytes, _) = read::read_path(path).map_err(|error| {
            let stat = rustix::fs::stat(path).ok();
            FileError::from((error, stat.as_ref())).at(format!("the kubeconfig {shown}"))
        })?;
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).map_err(|_| KubeconfigError::NotUtf8.at(&shown))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = Node::parse_strictly(text).map_err(|error| KubeconfigError::Yaml(error).at(&shown))?;
        let is_absent_or = |key, expected| {
            root.entry(key).is_none_or(|node| node.text().is_some_and(|text| text == expected))
        };
        let is_known = is_absent_or("kind", "Config") && is_absent_or("apiVersion", "v1");
        let is_map = matches!(*root, Node::Map(_));
        if is_map && is_known {
            Ok(Self { path: path.to_owned(), root })
        } else {
            Err(KubeconfigError::NotAKubeconfig.at(shown))
        }
    }

    /// The path, for messages.
    pub(super) fn shown(&self) -> String {
        escaped_path(&self.path)
    }

    /// The name of the current context, if the file has one.
    pub(super) fn current(&self) -> Option<&str> {
        self.root.entry("current-context").and_then(Node::text).filter(|name| !name.is_empty())
    }

    /// The entry of a name. A name that two entries have is an error, as it is for kubectl.
    pub(super) fn entry(&self, section: Section, name: &str) -> Result<Option<Entry<'_>>, ProviderError> {
        let items = self.root.entry(section.list()).into_iter().flat_map(Node::items);
        let mut items = items.filter(|item| item.entry("name").and_then(Node::text) == Some(name));
        let Some(item) = items.next() else { return Ok(None) };
        if items.next().is_some() {
            let name = escaped(name);
            return Err(KubeconfigError::Twice { section, name }.at(self.shown()));
        }
        let place = format!("the {} {} of {}", section.key(), escaped(name), self.shown());
        let node = item.entry(section.key()).filter(|node| matches!(node, Node::Map(_)));
        let node = node.ok_or_else(|| KubeconfigError::NoMap.at(&place))?;
        Ok(Some(Entry { node, place, directory: self.path.parent().unwrap_or(Path::new("")) }))
    }
}

impl<'a> Entry<'a> {
    /// An error about this entry.
    pub(super) fn refuse(&self, error: KubeconfigError) -> ProviderError {
        error.at(&self.place)
    }

    /// Whether the key exists and is not null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.entry(key).is_some_and(|node| !matches!(node, Node::Other))
    }

    /// The map below a key.
    pub(super) fn map(&self, key: &'static str) -> Result<Option<Entry<'a>>, ProviderError> {
        let Some(node) = self.node.entry(key).filter(|node| !matches!(node, Node::Other)) else {
            return Ok(None);
        };
        if !matches!(node, Node::Map(_)) {
            return Err(self.refuse(KubeconfigError::value(key, "a map")));
        }
        let place = format!("{key} of {}", self.place);
        Ok(Some(Entry { node, place, directory: self.directory }))
    }

    /// The list below a key; empty if there is none.
    pub(super) fn list(&self, key: &'static str) -> Result<Vec<&'a Node>, ProviderError> {
        match self.node.entry(key) {
            None | Some(Node::Other) => Ok(Vec::new()),
            Some(node @ Node::List(_)) => Ok(node.items().collect()),
            Some(_) => Err(self.refuse(KubeconfigError::value(key, "a list"))),
        }
    }

    /// A text without NUL; `None` if the key does not exist or is null.
    pub(super) fn text(&self, key: &'static str) -> Result<Option<&'a str>, ProviderError> {
        let wrong = || self.refuse(KubeconfigError::value(key, "a text"));
        match self.node.entry(key) {
            None | Some(Node::Other) => Ok(None),
            Some(node) => node.text().filter(|text| !text.contains('\0')).map(Some).ok_or_else(wrong),
        }
    }

    /// The same, where an empty text means nothing.
    pub(super) fn filled(&self, key: &'static str) -> Result<Option<&'a str>, ProviderError> {
        Ok(self.text(key)?.filter(|text| !text.is_empty()))
    }

    /// The same, where an empty text is a mistake.
    pub(super) fn meant(&self, key: &'static str) -> Result<Option<&'a str>, ProviderError> {
        let text = self.text(key)?;
        if text == Some("") { Err(self.refuse(KubeconfigError::Empty { key })) } else { Ok(text) }
    }

    /// The same, where the key must exist.
    pub(super) fn required(&self, key: &'static str) -> Result<&'a str, ProviderError> {
        self.meant(key)?.ok_or_else(|| self.refuse(KubeconfigError::Absent { key }))
    }

    /// A path, relative to the directory of the kubeconfig.
    pub(super) fn path(&self, key: &'static str) -> Result<Option<PathBuf>, ProviderError> {
        Ok(self.meant(key)?.map(|path| self.directory.join(path)))
    }

    /// PEM in a file, or in Base64 in the kubeconfig. Both at once are an error, as they are for kubectl.
    pub(super) fn pem(&self, file: &'static str, data: &'static str) -> Result<Option<Pem>, ProviderError> {
        match (self.path(file)?, self.meant(data)?) {
            (None, None) => Ok(None),
            (Some(path), None) => Ok(Some(Pem::File(path))),
            (None, Some(text)) => {
                let text = decoded(text);
                let text = text.ok_or_else(|| self.refuse(KubeconfigError::value(data, "Base64")))?;
                Ok(Some(Pem::Text(PemText { text: Arc::new(text), named_by: data })))
            }
            (Some(_), Some(_)) => Err(self.refuse(KubeconfigError::Both { one: file, other: data })),
        }
    }
}

/// Base64, which may be in several lines.
fn decoded(text: &str) -> Option<Secret> {
    let text: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|char| !matches!(char, '\n' | '\r')).collect());
    Base64::decode_vec(&text).ok().map(Secret::new)
}
