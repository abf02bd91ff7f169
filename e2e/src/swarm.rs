//! Services of a Swarm of one node.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::engine::Engine;
use crate::images::PROBE;
use crate::program::{Ended, until};
use crate::report::Report;

const PATIENCE: Duration = Duration::from_secs(30);

/// The contract's name for the external secret: `cryoprotect_supabase_url`.
pub(crate) fn external(name: &str) -> String {
    format!("cryoprotect_{}", name.to_lowercase())
}

pub(crate) fn create_secret(engine: &Engine, name: &str, value: impl AsRef<[u8]>) -> Result<(), String> {
    let file = engine.scratch("swarm-secret")?.join("value");
    fs::write(&file, value).map_err(|error| format!("{}: {error}", file.display()))?;
    engine.must(&["secret", "create", name, &file.display().to_string()]).map(drop)
}

/// A service of the probe's image, as a careful user starts it. It goes away with this value.
pub(crate) struct Service<'a> {
    engine: &'a Engine,
    name: String,
}

impl<'a> Service<'a> {
    pub(crate) fn create(
        engine: &'a Engine,
        name: &str,
        options: &[&str],
        app: &[&str],
    ) -> Result<Self, String> {
        let service = Self { engine, name: name.to_owned() };
        let fixed = [
            "service",
            "create",
            "--detach",
            "--no-resolve-image",
            "--restart-condition=none",
            "--user=65534:65534",
            "--read-only",
            "--cap-drop=ALL",
            "--name",
            name,
        ];
        engine.must(&[&fixed, options, &[PROBE], app].concat())?;
        Ok(service)
    }

    /// Waits until its newest task has ended. The outputs are those of `docker service logs`.
    pub(crate) fn wait(&self) -> Result<Ended, String> {
        let code = until("the end of the task", PATIENCE, || self.exit_code())?;
        // The log comes a moment after the end; both ways to end leave one.
        let logs =
            until("a log", PATIENCE, || self.logs().map(|logs| (!logs.said().is_empty()).then_some(logs)))?;
        Ok(Ended { code, ..logs })
    }

    /// What the probe saw, with this exit code of the task.
    pub(crate) fn report(&self, code: i32) -> Result<Report, String> {
        let ended = self.wait()?;
        if ended.code != code {
            return Err(format!("code {} instead of {code}: {}", ended.code, ended.said()));
        }
        let logs = until("the report", PATIENCE, || {
            self.logs().map(|logs| (!logs.stdout.is_empty()).then_some(logs))
        })?;
        Report::parse(&logs.stdout)
    }

    /// How the service refused to start: with this code, and this last line in its log.
    pub(crate) fn refusal(&self, code: i32) -> Result<String, String> {
        let ended = self.wait()?;
        if ended.code != code {
            return Err(format!("code {} instead of {code}: {}", ended.code, ended.said()));
        }
        let last = format!("exit code={code} ");
        until("the last log line", PATIENCE, || {
            self.logs().map(|logs| logs.stderr.contains(&last).then_some(logs.stderr))
        })
    }

    pub(crate) fn logs(&self) -> Result<Ended, String> {
        self.engine.docker(&["service", "logs", "--raw", &self.name])
    }

    fn exit_code(&self) -> Result<Option<i32>, String> {
        let tasks = self.engine.must(&["service", "ps", "--quiet", "--no-trunc", &self.name])?;
        let Some(task) = tasks.lines().next() else { return Ok(None) };
        let status = self.engine.must(&["inspect", "--format", "{{json .Status}}", task])?;
        let status: Value =
            serde_json::from_str(&status).map_err(|error| format!("the task's state: {error}"))?;
        match status.get("State").and_then(Value::as_str) {
            Some("complete" | "failed") => {
                let code = status.get("ContainerStatus").and_then(|container| container.get("ExitCode"));
                // Left out where it is 0.
                Ok(Some(
                    code.and_then(Value::as_i64).and_then(|code| code.try_into().ok()).unwrap_or_default(),
                ))
            }
            Some("rejected") => Err(format!("the task was rejected: {status}")),
            _ => Ok(None),
        }
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // The engine takes along what cannot be removed now.
        let _ = self.engine.docker(&["service", "rm", &self.name]);
    }
}
