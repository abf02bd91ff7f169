//! The examples, from their own files.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use e2e::need::or_not_run;
use e2e::program::{command, run, try_run, until};
use e2e::project::{binary, root};
use e2e::secrecy::{canary, tells_no_value};
use serde_json::Value;

use crate::support::{
    CONTRACT, Compose, Directory, Engine, NOBODY, built_examples, contract, contract_values, create_secret,
    engine, external, says,
};

/// The user who owns the development secrets.
const DEVELOPER: [(&str, &str); 1] = [("APP_USER", "65534:65534")];

/// Two of the examples publish the same port.
fn port_8000() -> MutexGuard<'static, ()> {
    static PORT: Mutex<()> = Mutex::new(());
    PORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The README's first command. Needs no engine: it runs on the developer's own machine.
#[test]
fn development_needs_no_setup_and_the_next_startup_finds_what_the_first_generated() {
    let python = try_run(&mut command("python3", ["--version"]));
    let python =
        python.map_err(|error| format!("python3: {error}; to run it: apt-get install --yes python3-minimal"));
    if or_not_run(python).is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let app = root().join("examples/dev/app.py");
    let start = || {
        let mut dev = command(binary(), ["run", "--dev", "--", "python3", app.to_str().unwrap()]);
        for (name, _) in &*CONTRACT {
            dev.env_remove(name);
        }
        run(dev.current_dir(&home)).with(0)
    };
    let first = start();
    for (name, _) in &*CONTRACT {
        let arrived = |line: &str| line.starts_with(name) && line.contains("arrived, ");
        assert!(first.stdout.lines().any(arrived), "{}", first.stdout);
        says(&first.stderr, &[name, ".secrets"]);
        let value = fs::read_to_string(home.path().join(".secrets").join(name)).unwrap();
        // What stands before the last slash of a URL is no secret.
        tells_no_value("what was printed", &first.said(), value.trim().rsplit('/').take(1));
    }
    assert_eq!(start().stdout, first.stdout);
}

/// The `.secrets` of an example, owned by the user that the containers run as.
fn secrets_in(example: &Path) -> Directory {
    let path = example.join(".secrets");
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    Directory::with_mode(path, 0o600, NOBODY)
}

/// The example app shows what it got: names with length and the beginning of the digest.
struct Page(Value);

impl Page {
    #[track_caller]
    fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("no page ({error}): {text}")))
    }

    #[track_caller]
    fn shows(&self, name: &str, value: &str) {
        let seen = &self.0["secrets"][name];
        assert_eq!(seen["length"], value.len(), "{name}: {}", self.0);
        assert_eq!(seen["sha256_begins"], sha256(value)[..8], "{name} is another value of the same length");
    }
}

/// By the ordinary program; the standard library has no digest.
fn sha256(value: &str) -> String {
    let script = "printf %s \"$1\" | sha256sum";
    run(&mut command("sh", ["-c", script, "sh", value])).with(0).stdout
}

#[test]
fn the_flask_example_shows_its_secrets_under_its_compose_file() {
    let Some(engine) = engine() else { return };
    let (Some(compose), Some(examples)) = (Compose::find(), built_examples(engine)) else { return };
    let _port = port_8000();
    let example = examples.join("compose");
    secrets_in(&example).put_all(&*CONTRACT);
    let project = compose.up(engine, "flask", &example.join("compose.yaml"), &DEVELOPER);
    let text = project.page("cryoprotect", 8000);
    let page = Page::parse(&text);
    CONTRACT.iter().for_each(|(name, value)| page.shows(name, value));
    tells_no_value("the page", &text, contract_values());
    tells_no_value("the log", &project.logs("cryoprotect").said(), contract_values());
}

#[test]
fn blue_and_green_run_side_by_side_each_with_its_own_values() {
    let Some(engine) = engine() else { return };
    let (Some(compose), Some(examples)) = (Compose::find(), built_examples(engine)) else { return };
    let example = examples.join("blue-green");
    let (blue, green) = (canary(), canary());
    secrets_in(&example).put_all(&[
        ("SUPABASE_URL", contract("SUPABASE_URL")),
        ("SUPABASE_KEY", contract("SUPABASE_KEY")),
        ("BLUE_SECRET_KEY", &blue),
        ("GREEN_SECRET_KEY", &green),
        ("BLUE_DATABASE_URL", "postgresql://blue.invalid/cryo"),
        ("GREEN_DATABASE_URL", "postgresql://green.invalid/cryo"),
    ]);
    let project = compose.up(engine, "blue-green", &example.join("compose.yaml"), &DEVELOPER);
    for (color, port, key) in [("blue", 8001, blue), ("green", 8002, green)] {
        let page = Page::parse(&project.page(color, port));
        assert_eq!(page.0["color"], color);
        page.shows("SECRET_KEY", &key);
        page.shows("DATABASE_URL", &format!("postgresql://{color}.invalid/cryo"));
        page.shows("SUPABASE_KEY", contract("SUPABASE_KEY"));
    }
}

#[test]
fn the_example_stack_gets_healthy_with_its_external_secrets() {
    let Some(engine) = engine() else { return };
    let Some(examples) = built_examples(engine) else { return };
    let _port = port_8000();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    create_secret(engine, &external("SECRET_ROTATION_TIMESTAMP"), format!("{now}\n"));
    let stack = Stack(engine);
    let file = examples.join("swarm/stack.yaml");
    let deploy = ["stack", "deploy", "--resolve-image=never", "-c", file.to_str().unwrap(), "cryoprotect"];
    engine.must(&deploy);
    let id = stack.healthy();
    // From inside the container: Swarm's ingress network needs IPVS, which not every kernel has.
    let fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/').read().decode())";
    let page = Page::parse(&engine.must(&["exec", &id, "python3", "-c", fetch]));
    CONTRACT.iter().for_each(|(name, value)| page.shows(name, value));
    assert_eq!(page.0["environment"], "production");
    tells_no_value("the log", &stack.logs(), contract_values());
}

/// The deployed stack; it is removed with this value.
struct Stack<'a>(&'a Engine);

impl Stack<'_> {
    /// The container, as soon as the example's own health check says so.
    #[track_caller]
    fn healthy(&self) -> String {
        let service = "label=com.docker.swarm.service.name=cryoprotect_cryoprotect";
        let list = ["ps", "--quiet", "--filter", service, "--filter", "health=healthy"];
        until("a healthy container", Duration::from_secs(45), || {
            let ids = self.0.must(&list);
            ids.lines().next().map(str::to_owned).ok_or_else(|| format!("{}{}", self.tasks(), self.logs()))
        })
    }

    fn tasks(&self) -> String {
        self.0.docker(&["stack", "ps", "--no-trunc", "cryoprotect"]).said()
    }

    fn logs(&self) -> String {
        self.0.docker(&["service", "logs", "--raw", "cryoprotect_cryoprotect"]).said()
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        self.0.docker(&["stack", "rm", "cryoprotect"]);
    }
}
