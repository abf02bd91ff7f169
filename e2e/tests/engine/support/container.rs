//! `docker run`, spelt out one choice at a time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::program::Ended;

use super::images::PROBE;
use super::{Directory, Engine, Report, logs_when};

const PATIENCE: Duration = Duration::from_secs(20);

const NO_NETWORK: &str = "--network=none";

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
        Self { engine, options: vec![NO_NETWORK.into()], image: PROBE.into(), app: Vec::new() }
    }

    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    pub(crate) fn variable(self, name: &str, value: &str) -> Self {
        self.options(&[&format!("--env={name}={value}")])
    }

    /// Mounts the directory as `/run/secrets`.
    pub(crate) fn secrets(self, directory: &Directory) -> Self {
        self.mount(directory.path(), "/run/secrets")
    }

    /// Mounts a manifest where cryokey finds it.
    pub(crate) fn manifest(self, text: &str) -> Self {
        let directory = self.engine.scratch();
        fs::write(directory.join("cryokey.toml"), text).unwrap();
        self.mount(&directory, "/etc/cryokey")
    }

    /// On a network, with its port 8000 as this one of the engine's network namespace.
    pub(crate) fn published(mut self, port: u16) -> Self {
        self.options.retain(|option| option != NO_NETWORK);
        self.options(&[&format!("--publish=127.0.0.1:{port}:8000")])
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

    /// Runs it until it exits.
    #[track_caller]
    pub(crate) fn run(self) -> Ended {
        let ended = self.try_run();
        // 125 is docker's own exit code: the container did not run.
        assert_ne!(ended.code, 125, "{}", ended.said());
        ended
    }

    /// Runs it until it exits, or fails to start.
    pub(crate) fn try_run(self) -> Ended {
        self.docker(&["run", "--rm"])
    }

    /// Runs it until it exits, and reads what the probe saw. The app must have ended with this code.
    #[track_caller]
    pub(crate) fn report(self, code: i32) -> (Report, Ended) {
        let ended = self.run().with(code);
        (Report::parse(&ended.stdout), ended)
    }

    /// Starts it in the background; the container stays until it is removed.
    #[track_caller]
    pub(crate) fn start(self) -> Container<'a> {
        let ended = self.docker(&["run", "--detach"]).with(0);
        Container { engine: self.engine, id: ended.stdout.trim_end().to_owned() }
    }

    fn docker(&self, command: &[&str]) -> Ended {
        let rest = self.options.iter().chain([&self.image]).chain(&self.app).map(String::as_str);
        self.engine.docker(&command.iter().copied().chain(rest).collect::<Vec<_>>())
    }
}

/// A container in the background; it is removed with this value.
pub(crate) struct Container<'a> {
    engine: &'a Engine,
    pub(crate) id: String,
}

impl Container<'_> {
    /// Waits for its end; its outputs are those of `docker logs`.
    pub(crate) fn wait(&self) -> Ended {
        let code = self.engine.must(&["wait", &self.id]).parse().unwrap();
        Ended { code, ..self.logs() }
    }

    /// What the probe saw in its latest run, which must have ended well.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        let ended = self.wait().with(0);
        Report::parse(ended.stdout.lines().next_back().unwrap_or_default())
    }

    pub(crate) fn logs(&self) -> Ended {
        self.engine.docker(&["logs", &self.id])
    }

    /// The logs as soon as they are so.
    #[track_caller]
    pub(crate) fn logs_when(&self, what: &str, is_so: impl Fn(&Ended) -> bool) -> Ended {
        logs_when(what, PATIENCE, || self.logs(), is_so)
    }

    /// What the probe has seen in so many runs, of which the last one need not have ended.
    #[track_caller]
    pub(crate) fn reports(&self, count: usize) -> Vec<Report> {
        let is_report = |line: &&str| line.starts_with('{');
        let reports = |logs: &Ended| logs.stdout.lines().filter(is_report).count();
        let logs = self.logs_when("the app's report", |logs| reports(logs) == count);
        logs.stdout.lines().filter(is_report).map(Report::parse).collect()
    }

    /// What the probe sees at the start of the first run, which need not have ended.
    #[track_caller]
    pub(crate) fn first_report(&self) -> Report {
        self.reports(1).remove(0)
    }

    /// What the probe has printed besides its reports.
    pub(crate) fn said(&self) -> Vec<String> {
        let stdout = self.logs().stdout;
        stdout.lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect()
    }

    /// A docker command about this container, and how long it took.
    #[track_caller]
    pub(crate) fn docker(&self, command: &[&str]) -> Duration {
        let start = Instant::now();
        self.engine.must(&[command, &[&self.id]].concat());
        start.elapsed()
    }

    /// A program beside the app.
    pub(crate) fn exec(&self, user: &str, program: &[&str]) -> Ended {
        self.engine.docker(&[&["exec", "--user", user, &self.id], program].concat())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.engine.docker(&["rm", "--force", "--volumes", &self.id]);
    }
}
