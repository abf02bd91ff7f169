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

    fn what(&self, _place: &str) -> String {
        format!("a volume that they are read from was replaced during each of {ATTEMPTS} attempts")
    }

    fn fix(&self) -> String {
        "find out what replaces the volume so often, or start the container again".into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A volume that is replaced during each of the first readings.
    struct Volume {
        replaced: usize,
        read: Arc<AtomicUsize>,
    }

    /// A source without paths, such as the environment.
    struct Pathless(Arc<AtomicUsize>);

    impl Provider for Volume {
        fn read(&self, _: &Request, _: Deadline) -> Result<Answer, ProviderError> {
            self.read.fetch_add(1, Ordering::Relaxed);
            Ok(Answer::default())
        }

        fn resolved(&self, _: &Request) -> Vec<Option<PathBuf>> {
            let generation = self.read.load(Ordering::Relaxed).min(self.replaced);
            vec![Some(PathBuf::from(format!("/volume/{generation}/TOKEN")))]
        }
    }

    impl Provider for Pathless {
        fn read(&self, _: &Request, _: Deadline) -> Result<Answer, ProviderError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Answer::default())
        }
    }

    /// What is answered for the volume and beside it, and how often each was read.
    fn read_while_replaced(replaced: usize) -> [(Result<Answer, ProviderError>, usize); 2] {
        let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let [volume, pathless] = counts.clone();
        let locals = [
            Local::new(
                Request::default(),
                Source::FileVariables,
                Box::new(Volume { replaced, read: volume }),
            ),
            Local::new(Request::default(), Source::Environment, Box::new(Pathless(pathless))),
        ];
        let mut answers = read(&locals, Deadline::after(std::time::Duration::from_mins(1))).into_iter();
        counts.map(|count| (answers.next().unwrap().1, count.load(Ordering::Relaxed)))
    }

    #[test]
    fn c16_everything_is_read_again_until_no_volume_is_replaced_meanwhile() {
        for replaced in [0, 1, ATTEMPTS - 1] {
            for (answer, count) in read_while_replaced(replaced) {
                assert!(answer.is_ok());
                assert_eq!(count, replaced + 1);
            }
        }
    }

    #[test]
    fn c16_a_volume_that_is_replaced_during_ten_readings_is_refused_and_what_has_no_path_is_read() {
        let [(volume, count), (pathless, _)] = read_while_replaced(ATTEMPTS);
        let error = volume.unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains("was replaced during each of 10 attempts"), "{error}");
        assert_eq!(count, 10);
        assert!(pathless.is_ok());
    }
}
