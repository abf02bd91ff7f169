//! The engine that the scenarios run on: private, started once, gone at the end.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::program::{self, Ended, command};

const INSTALL: &str = "apt-get install --yes --no-install-recommends docker.io iproute2 iptables";

/// A running dockerd with an initialised Swarm of one node. `engine.sh` says how it is kept apart from another one.
pub(crate) struct Engine {
    folder: PathBuf,
    script: PathBuf,
}

impl Engine {
    /// Or why there is none, with what to type.
    pub(crate) fn start(script: PathBuf) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("cryokey-e2e-{}", std::process::id()));
        // From here on dropping it cleans up, also after half a start.
        let engine = Self { folder, script };
        // And if this process is killed, the guard does.
        let own = std::process::id().to_string();
        engine
            .control("guard", &[&own])
            .and_then(|()| engine.control("start", &["--swarm"]))
            .map_err(|why| reason(&why))?;
        fs::create_dir(engine.folder.join("scratch"))
            .map_err(|error| format!("the engine's folder: {error}"))?;
        Ok(engine)
    }

    fn control(&self, action: &str, more: &[&str]) -> Result<(), String> {
        let ended = program::run(Command::new(&self.script).arg(action).arg(&self.folder).args(more))?;
        ended.success("engine.sh").map(drop)
    }

    /// A docker command, however it ends.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Result<Ended, String> {
        program::run(&mut self.client("docker", arguments))
    }

    /// A docker command that must succeed; gives what it printed, without the line end.
    pub(crate) fn must(&self, arguments: &[&str]) -> Result<String, String> {
        let what = format!("docker {}", arguments.join(" "));
        self.docker(arguments)?.success(&what).map(|text| text.trim_end().to_owned())
    }

    /// Any client of the engine's interface.
    pub(crate) fn client(&self, program: &str, arguments: &[&str]) -> Command {
        let mut client = command(program, arguments);
        client.env("DOCKER_HOST", format!("unix://{}", self.folder.join("sock").display()));
        client.env("DOCKER_CONFIG", self.folder.join("config"));
        client
    }

    /// A page of a published port: those are in the engine's network namespace, so this very program is started there.
    pub(crate) fn get(&self, page: &str) -> Result<String, String> {
        let own = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
        let mut inside = Command::new(&self.script);
        inside.arg("exec").arg(&self.folder).arg(own).args(["--get", page]);
        program::run(&mut inside)?.success(page)
    }

    /// An empty folder that goes away with the engine.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("scratch").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("{name}: {error}"))?;
        }
        fs::create_dir_all(&folder).map_err(|error| format!("{name}: {error}"))?;
        Ok(folder)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(problem) = self.control("stop", &["--purge"]) {
            eprintln!("warning: the engine did not stop: {problem}");
        }
    }
}

/// What the script said, and what to do about it.
fn reason(said: &str) -> String {
    let why = said.rsplit("engine: ").next().unwrap_or(said).trim();
    if why.contains("not installed") {
        format!("{why}; to run it: {INSTALL}")
    } else if why.contains("needs root") {
        format!("the engine {why}; to run it: start the same command as root")
    } else {
        format!("the engine does not run here: {why}")
    }
}
