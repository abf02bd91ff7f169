//! Compose projects: started from a file, looked at container by container, taken down.

use std::path::Path;
use std::time::Duration;

use crate::engine::Engine;
use crate::program::{self, Ended};

/// Compose as a plugin of docker, or the older program of that name.
pub(crate) struct Compose {
    command: &'static [&'static str],
}

impl Compose {
    pub(crate) fn find(engine: &Engine) -> Result<Self, String> {
        let commands: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let found = commands.into_iter().find(|command| succeeds(engine, command));
        found.map(|command| Self { command }).ok_or_else(|| {
            "there is no Compose; to run it: apt-get install --yes --no-install-recommends docker-compose"
                .to_owned()
        })
    }

    /// Starts a project in the background.
    pub(crate) fn up<'a>(
        &'a self,
        engine: &'a Engine,
        file: &Path,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Project<'a>, String> {
        let project = Project {
            compose: self,
            engine,
            file: file.display().to_string(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let ended = project.run(&[&["up", "--detach"], options].concat())?;
        ended.success("compose up")?;
        Ok(project)
    }
}

fn succeeds(engine: &Engine, command: &[&str]) -> bool {
    let Some((program, subcommand)) = command.split_first() else { return false };
    program::succeeds(&mut engine.client(program, &[subcommand, &["version"]].concat()))
}

/// A project that goes down with this value.
pub(crate) struct Project<'a> {
    compose: &'a Compose,
    engine: &'a Engine,
    file: String,
    variables: Vec<(String, String)>,
}

impl Project<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Ended, String> {
        let (program, subcommand) = self.compose.command.split_first().ok_or("no compose command")?;
        // A name of our own: the folder's would be the same for two examples with the same folder name.
        let words = [subcommand, &["--project-name", "e2e", "--file", &self.file], arguments].concat();
        let mut client = self.engine.client(program, &words);
        client.envs(self.variables.iter().map(|(name, value)| (name, value)));
        program::run(&mut client)
    }

    fn container(&self, service: &str) -> Result<String, String> {
        // Of this project, whether it runs or has ended; the older Compose's `ps` cannot be asked for both.
        let filter = format!("label=com.docker.compose.service={service}");
        self.engine.must(&[
            "ps",
            "--all",
            "--quiet",
            "--filter",
            "label=com.docker.compose.project=e2e",
            "--filter",
            &filter,
        ])
    }

    /// Waits for the end of a service's only container.
    pub(crate) fn wait(&self, service: &str) -> Result<Ended, String> {
        let id = self.container(service)?;
        let code = self.engine.must(&["wait", &id])?;
        let logs = self.logs(service)?;
        Ok(Ended { code: code.parse().map_err(|_| format!("docker wait said `{code}`"))?, ..logs })
    }

    pub(crate) fn logs(&self, service: &str) -> Result<Ended, String> {
        self.engine.docker(&["logs", &self.container(service)?])
    }

    /// A page of a published port, as soon as it answers.
    pub(crate) fn page(&self, service: &str, page: &str) -> Result<String, String> {
        program::until(&format!("an answer of {page}"), Duration::from_secs(20), || {
            Ok(self.engine.get(page).ok())
        })
        .map_err(|problem| {
            format!("{problem}: {}", self.logs(service).map(|logs| logs.said()).unwrap_or_default())
        })
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        // The engine takes along what cannot be removed now.
        let _ = self.run(&["down", "--volumes", "--timeout", "2"]);
    }
}
