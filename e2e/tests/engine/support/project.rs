//! Compose projects: started from a file, looked at container by container, taken down.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::{Ended, command, run, try_run, until};

use super::Engine;

/// Compose as a plugin of docker, or the older program of that name.
#[derive(Clone, Copy)]
pub(crate) struct Compose(&'static [&'static str]);

impl Compose {
    /// What is installed, or a note that the test did not run.
    pub(crate) fn find() -> Option<Self> {
        static FOUND: LazyLock<Result<Compose, &str>> = LazyLock::new(|| {
            let known: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
            known.into_iter().map(Compose).find(Compose::answers).ok_or(
                "there is no Compose; to run it: apt-get install --yes --no-install-recommends docker-compose",
            )
        });
        or_not_run(*FOUND)
    }

    fn answers(&self) -> bool {
        let version = try_run(&mut command(self.0[0], self.0[1..].iter().chain(&["version"])));
        version.is_ok_and(|ended| ended.code == 0)
    }

    /// Starts a project in the background.
    #[track_caller]
    pub(crate) fn up<'a>(
        self,
        engine: &'a Engine,
        name: &'static str,
        file: &Path,
        variables: &'static [(&str, &str)],
    ) -> Project<'a> {
        let project =
            Project { compose: self, engine, name, file: file.to_str().unwrap().to_owned(), variables };
        project.run(&["up", "--detach", "--build"]).with(0);
        project
    }
}

/// A project that goes down with this value.
pub(crate) struct Project<'a> {
    compose: Compose,
    engine: &'a Engine,
    name: &'static str,
    file: String,
    variables: &'static [(&'static str, &'static str)],
}

impl Project<'_> {
    fn run(&self, arguments: &[&str]) -> Ended {
        let (program, subcommand) = (self.compose.0[0], &self.compose.0[1..]);
        let words = [subcommand, &["--project-name", self.name, "--file", &self.file], arguments].concat();
        run(self.engine.client(program, &words).envs(self.variables.iter().copied()))
    }

    /// A service's only container, whether it runs or has ended; the older Compose's `ps` cannot be asked for both.
    fn container(&self, service: &str) -> String {
        let project = format!("--filter=label=com.docker.compose.project={}", self.name);
        let service = format!("--filter=label=com.docker.compose.service={service}");
        self.engine.must(&["ps", "--all", "--quiet", &project, &service])
    }

    /// Waits for the end of a service's only container.
    pub(crate) fn wait(&self, service: &str) -> Ended {
        let code = self.engine.must(&["wait", &self.container(service)]).parse().unwrap();
        Ended { code, ..self.logs(service) }
    }

    pub(crate) fn logs(&self, service: &str) -> Ended {
        self.engine.docker(&["logs", &self.container(service)])
    }

    /// The page of a published port, as soon as it answers.
    #[track_caller]
    pub(crate) fn page(&self, service: &str, port: u16) -> String {
        until("an answer", Duration::from_secs(20), || {
            self.engine.get(port, "/").map_err(|error| format!("{error}: {}", self.logs(service).said()))
        })
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--timeout", "2"]);
    }
}
