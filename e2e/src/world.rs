//! What the scenarios share: the binary under test, the engine, the images and the contract's secrets in Swarm.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::compose::Compose;
use crate::engine::Engine;
use crate::expect::Stop;
use crate::images;
use crate::options::Options;
use crate::secret::CONTRACT;
use crate::swarm;

/// Each scenario asks for what it needs; what this machine does not have makes it "not run", with the reason.
pub(crate) struct World {
    project: PathBuf,
    binary: PathBuf,
    engine: Result<Engine, String>,
    compose: OnceCell<Result<Compose, String>>,
    flask: OnceCell<Result<PathBuf, Stop>>,
    swarm_secrets: OnceCell<Result<(), String>>,
}

impl World {
    pub(crate) fn prepare(options: &Options) -> Result<Self, String> {
        let e2e = e2e_folder();
        let project = e2e.parent().unwrap_or(Path::new(".")).to_owned();
        let binary = options.binary.clone().unwrap_or_else(|| project.join("target/dist/cryokey"));
        let binary = binary.canonicalize().map_err(|error| {
            format!(
                "{}: {error}; make it with `cargo xtask dist`, or name another with --binary",
                binary.display()
            )
        })?;
        let engine = Engine::start(e2e.join("engine.sh"));
        if let Ok(engine) = &engine {
            images::build_probe(engine, &binary, &images::compile_probe(&e2e)?)?;
        }
        Ok(Self {
            project,
            binary,
            engine,
            compose: OnceCell::new(),
            flask: OnceCell::new(),
            swarm_secrets: OnceCell::new(),
        })
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(crate) fn examples(&self) -> PathBuf {
        self.project.join("examples")
    }

    pub(crate) fn engine(&self) -> Result<&Engine, Stop> {
        self.engine.as_ref().map_err(|why| Stop::NotRun(why.clone()))
    }

    pub(crate) fn compose(&self) -> Result<&Compose, Stop> {
        let engine = self.engine()?;
        self.compose.get_or_init(|| Compose::find(engine)).as_ref().map_err(|why| Stop::NotRun(why.clone()))
    }

    /// A copy of the examples whose image is built.
    pub(crate) fn built_examples(&self) -> Result<&Path, Stop> {
        let engine = self.engine()?;
        let build = || {
            let copy = images::copy_examples(engine, &self.examples(), &self.binary)?;
            images::build_flask(engine, &e2e_folder(), &copy)?;
            Ok(copy)
        };
        self.flask.get_or_init(build).as_deref().map_err(Clone::clone)
    }

    /// The contract's three secrets under the names that it gives them: `cryoprotect_supabase_url` and so on.
    pub(crate) fn contract_in_swarm(&self) -> Result<&Engine, Stop> {
        let engine = self.engine()?;
        let create = || {
            CONTRACT
                .iter()
                .try_for_each(|(name, value)| swarm::create_secret(engine, &swarm::external(name), value))
        };
        self.swarm_secrets.get_or_init(create).clone()?;
        Ok(engine)
    }
}

/// Cargo tells it to what it runs; a binary that was started by hand uses the current folder's.
fn e2e_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("e2e"), PathBuf::from);
    // Some programs are started in another folder.
    folder.canonicalize().unwrap_or(folder)
}
