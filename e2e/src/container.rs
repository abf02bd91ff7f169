//! `docker run`, spelt out one choice at a time.

use std::path::Path;

use crate::engine::Engine;
use crate::images::PROBE;
use crate::program::Ended;
use crate::report::Report;
use crate::secret::Folder;

/// A container that is going to run.
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    options: Vec<String>,
    image: String,
    app: Vec<String>,
}

impl<'a> Run<'a> {
    /// The probe's image as a user who is careful starts it.
    pub(crate) fn hardened(engine: &'a Engine) -> Self {
        Self::plain(engine).options(&[
            "--user=65534:65534",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
        ])
    }

    /// The same without any option. No scenario needs a network, and a container starts faster without one.
    pub(crate) fn plain(engine: &'a Engine) -> Self {
        Self { engine, options: vec!["--network=none".into()], image: PROBE.into(), app: Vec::new() }
    }

    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    pub(crate) fn variable(self, name: &str, value: &str) -> Self {
        self.options(&[&format!("--env={name}={value}")])
    }

    /// Mounts the folder as `/run/secrets`.
    pub(crate) fn secrets(self, folder: &Folder) -> Self {
        self.mount(folder.path(), "/run/secrets")
    }

    pub(crate) fn mount(self, from: &Path, to: &str) -> Self {
        let mount = format!("--mount=type=bind,source={},destination={to},readonly", from.display());
        self.options(&[&mount])
    }

    pub(crate) fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// What comes behind the image's ENTRYPOINT, instead of its CMD.
    pub(crate) fn app(mut self, app: &[&str]) -> Self {
        self.app = app.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Result<Ended, String> {
        let ended = self.engine.docker(&self.words(&["run", "--rm"]).each())?;
        // 125 is docker's own: nothing of ours ran.
        if ended.code == 125 { Err(format!("docker run: {}", ended.said())) } else { Ok(ended) }
    }

    /// Runs it to its end, and reads what the probe saw. The app must have ended with this code.
    pub(crate) fn report(self, code: i32) -> Result<(Report, Ended), String> {
        let ended = self.run()?;
        if ended.code != code {
            return Err(format!("code {} instead of {code}: {}", ended.code, ended.said()));
        }
        Ok((Report::parse(&ended.stdout)?, ended))
    }

    /// Starts it in the background; the container stays until it is removed.
    pub(crate) fn start(self) -> Result<Container<'a>, String> {
        let id = self.engine.must(&self.words(&["run", "--detach"]).each())?;
        Ok(Container { engine: self.engine, id })
    }

    fn words(&self, command: &[&str]) -> Words {
        let command = command.iter().map(|word| (*word).to_owned());
        let rest = self.options.iter().chain([&self.image]).chain(&self.app).cloned();
        Words(command.chain(rest).collect())
    }
}

/// A command line.
struct Words(Vec<String>);

impl Words {
    fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// A container in the background; it goes away with this value.
pub(crate) struct Container<'a> {
    engine: &'a Engine,
    pub(crate) id: String,
}

impl Container<'_> {
    /// Waits for its end; its outputs are those of `docker logs`.
    pub(crate) fn wait(&self) -> Result<Ended, String> {
        let code = self.engine.must(&["wait", &self.id])?;
        let logs = self.engine.docker(&["logs", &self.id])?;
        let code = code.parse().map_err(|_| format!("docker wait said `{code}`"))?;
        Ok(Ended { code, ..logs })
    }

    /// What the probe saw in its latest run, which must have ended well.
    pub(crate) fn report(&self) -> Result<Report, String> {
        let ended = self.wait()?;
        if ended.code != 0 {
            return Err(format!("code {}: {}", ended.code, ended.said()));
        }
        Report::parse(ended.stdout.lines().next_back().unwrap_or_default())
    }

    pub(crate) fn logs(&self) -> Result<Ended, String> {
        self.engine.docker(&["logs", &self.id])
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // The engine takes along what cannot be removed now.
        let _ = self.engine.docker(&["rm", "--force", "--volumes", &self.id]);
    }
}
