//! The examples, from their own files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::engine::Engine;
use crate::expect::{Done, Stop, equal, expect, says};
use crate::program::{self, command, until};
use crate::secret::{CONTRACT, Folder, NOBODY, SUPABASE_KEY, SUPABASE_URL, contract_values, tells_no_value};
use crate::swarm::{create_secret, external};
use crate::world::World;

/// The user who owns the development secrets.
const DEVELOPER: &str = "65534:65534";

/// Development without set-up, the README's first command. Needs no engine: it runs on the developer's own machine.
pub(super) fn dev(world: &World) -> Done {
    let home = std::env::temp_dir().join(format!("cryokey-e2e-dev-{}", std::process::id()));
    fs::create_dir(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let outcome = dev_in(world, &home);
    fs::remove_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    outcome
}

fn dev_in(world: &World, home: &Path) -> Done {
    let app = world.examples().join("dev/app.py").display().to_string();
    let mut python = command("python3", &["--version"]);
    if !program::succeeds(&mut python) {
        return Err(Stop::NotRun(
            "python3 is not installed; to run it: apt-get install --yes python3-minimal".into(),
        ));
    }
    let run = || {
        let mut dev = command(world.binary(), &["run", "--dev", "--", "python3", &app]);
        dev.current_dir(home);
        for (name, _) in CONTRACT {
            dev.env_remove(name);
        }
        program::run(&mut dev)
    };
    let first = run()?;
    equal("the exit code", &first.code, &0).map_err(|problem| format!("{problem}: {}", first.said()))?;
    let arrived =
        |name: &str| first.stdout.lines().any(|line| line.starts_with(name) && line.contains("arrived, "));
    expect(CONTRACT.iter().all(|(name, _)| arrived(name)), || format!("the app printed: {}", first.stdout))?;
    says("the log", &first.stderr, &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY", ".secrets"])?;

    for (name, _) in CONTRACT {
        let file = home.join(".secrets").join(name);
        let value = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        tells_no_value("what was printed", &first.said(), [value.trim()])?;
    }
    // The second start finds what the first has made.
    let second = run()?;
    equal("the app's second output", &second.stdout, &first.stdout)?;
    Ok(())
}

/// The `.secrets` of an example, owned by the user that the containers run as.
fn secrets_in(example: &Path) -> Result<Folder, String> {
    let path = example.join(".secrets");
    if path.exists() {
        fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Folder::with_mode(path, 0o600, NOBODY))
}

/// The example app shows what it got: names with length and the beginning of the digest.
struct Page(Value);

impl Page {
    fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("no page of the example app ({error}): {text}"))
    }

    fn shows(&self, name: &str, value: &str) -> Result<(), String> {
        let seen = self.0.get("secrets").and_then(|secrets| secrets.get(name));
        let seen = seen.ok_or_else(|| format!("the app does not show {name}: {}", self.0))?;
        equal(
            &format!("the length of {name}"),
            &seen.get("length").and_then(Value::as_u64),
            &Some(value.len() as u64),
        )?;
        let digest = sha256(value)?;
        let begins = seen.get("sha256_begins").and_then(Value::as_str).unwrap_or_default();
        expect(begins.len() == 8 && digest.starts_with(begins), || {
            format!("{name} is another value of the same length")
        })
    }
}

/// By the ordinary program; the standard library has no digest.
fn sha256(value: &str) -> Result<String, String> {
    let script = "printf %s \"$1\" | sha256sum";
    program::run(&mut command("sh", &["-c", script, "sh", value]))?.success("sha256sum")
}

/// The example image under the example's compose file.
pub(super) fn flask(world: &World) -> Done {
    let (engine, compose) = (world.engine()?, world.compose()?);
    let example = world.built_examples()?.join("compose");
    secrets_in(&example)?.put_all(CONTRACT)?;
    let project =
        compose.up(engine, &example.join("compose.yaml"), &["--build"], &[("APP_USER", DEVELOPER)])?;
    let text = project.page("cryoprotect", "127.0.0.1:8000/")?;
    let page = Page::parse(&text)?;
    CONTRACT.iter().try_for_each(|(name, value)| page.shows(name, value))?;
    tells_no_value("the page", &text, contract_values())?;
    Ok(tells_no_value("the log", &project.logs("cryoprotect")?.said(), contract_values())?)
}

/// Blue and green side by side, each with its own values.
pub(super) fn blue_green(world: &World) -> Done {
    let (engine, compose) = (world.engine()?, world.compose()?);
    let example = world.built_examples()?.join("blue-green");
    let secrets = secrets_in(&example)?;
    secrets.put_all([
        ("SUPABASE_URL", SUPABASE_URL),
        ("SUPABASE_KEY", SUPABASE_KEY),
        ("BLUE_SECRET_KEY", "blue-Xn5bM7"),
        ("GREEN_SECRET_KEY", "green-Lk1jH9"),
        ("BLUE_DATABASE_URL", "postgresql://blue.invalid/cryo"),
        ("GREEN_DATABASE_URL", "postgresql://green.invalid/cryo"),
    ])?;
    let project = compose.up(engine, &example.join("compose.yaml"), &[], &[("APP_USER", DEVELOPER)])?;
    for (color, port, key) in [("blue", 8001, "blue-Xn5bM7"), ("green", 8002, "green-Lk1jH9")] {
        let page = Page::parse(&project.page(color, &format!("127.0.0.1:{port}/"))?)?;
        equal("the color", &page.0.get("color").and_then(Value::as_str), &Some(color))?;
        page.shows("SECRET_KEY", key)?;
        page.shows("DATABASE_URL", &format!("postgresql://{color}.invalid/cryo"))?;
        page.shows("SUPABASE_KEY", SUPABASE_KEY)?;
    }
    Ok(())
}

/// The example stack gets healthy with its external secrets.
pub(super) fn stack(world: &World) -> Done {
    let engine = world.contract_in_swarm()?;
    let file = world.built_examples()?.join("swarm/stack.yaml");
    let now = program::run(&mut command("date", &["+%s"]))?.success("date")?;
    create_secret(engine, &external("SECRET_ROTATION_TIMESTAMP"), now)?;
    let stack = Stack { engine };
    engine.must(&[
        "stack",
        "deploy",
        "--resolve-image=never",
        "-c",
        &file.display().to_string(),
        "cryoprotect",
    ])?;
    let id = stack.healthy()?;
    // From inside the container: Swarm's ingress network needs IPVS, which not every kernel has.
    let fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/').read().decode())";
    let text = engine.must(&["exec", &id, "python3", "-c", fetch])?;
    let page = Page::parse(&text)?;
    CONTRACT.iter().try_for_each(|(name, value)| page.shows(name, value))?;
    equal("the environment", &page.0.get("environment").and_then(Value::as_str), &Some("production"))?;
    Ok(tells_no_value("the log", &stack.logs(), contract_values())?)
}

/// The deployed stack; it goes away with this value.
struct Stack<'a> {
    engine: &'a Engine,
}

impl Stack<'_> {
    /// The container, as soon as the example's own health check says so.
    fn healthy(&self) -> Result<String, String> {
        let service = "label=com.docker.swarm.service.name=cryoprotect_cryoprotect";
        let list = ["ps", "--quiet", "--filter", service, "--filter", "health=healthy"];
        until("a healthy container", Duration::from_secs(45), || {
            self.engine.must(&list).map(|ids| ids.lines().next().map(str::to_owned))
        })
        .map_err(|problem| format!("{problem}: {}{}", self.tasks(), self.logs()))
    }

    fn tasks(&self) -> String {
        self.engine.must(&["stack", "ps", "--no-trunc", "cryoprotect"]).unwrap_or_default()
    }

    fn logs(&self) -> String {
        let logs = self.engine.docker(&["service", "logs", "--raw", "cryoprotect_cryoprotect"]);
        logs.map(|logs| logs.said()).unwrap_or_default()
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        // The engine takes along what cannot be removed now.
        let _ = self.engine.docker(&["stack", "rm", "cryoprotect"]);
    }
}
