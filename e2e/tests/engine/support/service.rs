//! Services of a Swarm of one node.

use std::fs;
use std::time::Duration;

use e2e::program::{Ended, until};
use serde_json::Value;

use super::images::PROBE;
use super::{Engine, Report, logs_when};

const PATIENCE: Duration = Duration::from_secs(30);

const HARDENED: [&str; 8] = [
    "service",
    "create",
    "--detach",
    "--no-resolve-image",
    "--restart-condition=none",
    "--user=65534:65534",
    "--read-only",
    "--cap-drop=ALL",
];

/// The contract's name for the external secret: `cryoprotect_supabase_url`.
pub(crate) fn external(name: &str) -> String {
    format!("cryoprotect_{}", name.to_lowercase())
}

pub(crate) fn create_secret(engine: &Engine, name: &str, value: impl AsRef<[u8]>) {
    let file = engine.scratch().join("value");
    fs::write(&file, value).unwrap();
    engine.must(&["secret", "create", name, file.to_str().unwrap()]);
}

/// A service of the probe's image, as a careful user starts it. It is removed with this value.
pub(crate) struct Service<'a> {
    engine: &'a Engine,
    name: &'static str,
}

impl<'a> Service<'a> {
    #[track_caller]
    pub(crate) fn create(engine: &'a Engine, name: &'static str, options: &[String], app: &[&str]) -> Self {
        let service = Self { engine, name };
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        engine.must(&[&HARDENED, &["--name", name][..], &options, &[PROBE], app].concat());
        service
    }

    /// What the probe saw before it ended well. The log comes a moment after the end.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        assert_eq!(self.wait(), 0, "{}", self.logs().said());
        Report::parse(&self.logs_when("the report", |logs| !logs.stdout.is_empty()).stdout)
    }

    /// How the service refused to start: with this code, and this last line in its log.
    #[track_caller]
    pub(crate) fn refusal(&self, code: i64) -> String {
        assert_eq!(self.wait(), code, "{}", self.logs().said());
        let last = format!("exit code={code} ");
        self.logs_when("the last log line", |logs| logs.stderr.contains(&last)).stderr
    }

    pub(crate) fn logs(&self) -> Ended {
        self.engine.docker(&["service", "logs", "--raw", self.name])
    }

    /// The logs as soon as they are so.
    #[track_caller]
    pub(crate) fn logs_when(&self, what: &str, is_so: impl Fn(&Ended) -> bool) -> Ended {
        logs_when(what, PATIENCE, || self.logs(), is_so)
    }

    /// Waits until its newest task has ended, and gives its exit code.
    #[track_caller]
    fn wait(&self) -> i64 {
        until("the end of the task", PATIENCE, || {
            let tasks = self.engine.must(&["service", "ps", "--quiet", "--no-trunc", self.name]);
            let task = tasks.lines().next().ok_or("no task")?;
            exit_code(&self.engine.must(&["inspect", "--format", "{{json .Status}}", task]))
        })
    }
}

fn exit_code(status: &str) -> Result<i64, String> {
    let parsed: Value = serde_json::from_str(status).unwrap();
    match parsed["State"].as_str() {
        // Left out where it is 0.
        Some("complete" | "failed") => Ok(parsed["ContainerStatus"]["ExitCode"].as_i64().unwrap_or_default()),
        Some("rejected") => panic!("the task was rejected: {status}"),
        _ => Err(status.to_owned()),
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.engine.docker(&["service", "rm", self.name]);
    }
}
