//! Reads the local sources, all of them from one generation.
//!
//! A `NAME_FILE` may lead into the volume that the secrets directory is, too. Kubernetes replaces a volume as a whole, by
//! one link, so if every path leads where it led before, nothing was replaced meanwhile.

use crate::provider::{Answer, Cause, Deadline, Kind, Provider, ProviderError, Request, Source};

/// How often all local sources are read, if volumes are replaced meanwhile.
const ATTEMPTS: usize = 10;

/// A source that is read on the calling thread, and what is asked of it.
pub(super) struct Local<'a> {
    source: Source,
    provider: Box<dyn Provider + 'a>,
    request: Request,
}

type Answered = (Source, Result<Answer, ProviderError>);

impl<'a> Local<'a> {
    pub(super) fn new(request: Request, source: Source, provider: Box<dyn Provider + 'a>) -> Self {
        Self { source, provider, request }
    }

    fn read(&self, deadline: Deadline) -> Answered {
        (self.source, self.provider.read(&self.request, deadline))
    }

    fn refused(&self, deadline: Deadline) -> Answered {
        if self.provider.resolved(&self.request).is_empty() {
            return self.read(deadline);
        }
        (self.source, Err(ProviderError::new(self.source.text(), Replaced)))
    }
}

pub(super) fn read(locals: &[Local<'_>], deadline: Deadline) -> Vec<Answered> {
    let resolved = || locals.iter().flat_map(|it| it.provider.resolved(&it.request)).collect::<Vec<_>>();
    for _ in 0..ATTEMPTS {
        let before = resolved();
        let answers = locals.iter().map(|local| local.read(deadline)).collect();
        if before == resolved() {
            return answers;
        }
    }
    locals.iter().map(|local| local.refused(deadline)).collect()
}

/// Paths that led elsewhere after each attempt.
#[derive(Debug)]
struct Replaced;

impl Cause for Replaced {
    fn kind(&self) -> Kind {
        Kind::Io
    }

    fn what(&self, place: &str) -> String {
        format!("{place}: the volume that the path leads into was replaced during each attempt to read it")
    }

    fn fix(&self) -> String {
        "find out what replaces the volume so often, or start the container again".into()
    }
}
