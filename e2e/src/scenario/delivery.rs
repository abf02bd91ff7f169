//! Secrets that reach the app as files.

use std::fs;
use std::path::Path;

use crate::container::Run;
use crate::engine::Engine;
use crate::expect::{Done, Stop, equal, expect, says};
use crate::program::{self, command};
use crate::scenario::run::{contract_folder, refuses};
use crate::secret::{Folder, tells_no_value};
use crate::world::World;

const MANIFEST: &str = r#"
version = 1

[secret.DB_PASSWORD]
required = true
deliver  = "file"

[secret.API_KEY]
"#;

/// With a final line end: files keep theirs.
const DB_PASSWORD: &str = "Rw8uM3nB6vC1\n";
const API_KEY: &str = "Tg5hN9jK2pX7";

/// An image with a manifest of its own, and its secrets.
fn with_manifest<'a>(engine: &'a Engine, name: &str) -> Result<Run<'a>, String> {
    let secrets = Folder::readable(engine.scratch(name)?);
    secrets.put_all([("DB_PASSWORD", DB_PASSWORD), ("API_KEY", API_KEY)])?;
    let manifest = engine.scratch(&format!("{name}-manifest"))?;
    write_manifest(&manifest, MANIFEST)?;
    Ok(Run::hardened(engine).secrets(&secrets).mount(&manifest, "/etc/cryokey"))
}

pub(super) fn write_manifest(folder: &Path, text: &str) -> Result<(), String> {
    let file = folder.join("cryokey.toml");
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// A read-only container gets a secret as a file.
pub(super) fn file_by_memfd(world: &World) -> Done {
    let app = ["probe", "--file", "@DB_PASSWORD_FILE"];
    let (report, ended) = with_manifest(world.engine()?, "memfd")?.app(&app).report(0)?;
    let path = report.path("DB_PASSWORD_FILE")?;
    let descriptor = path.strip_prefix("/proc/self/fd/").and_then(|number| number.parse::<u32>().ok());
    let descriptor = descriptor.ok_or_else(|| format!("DB_PASSWORD_FILE is {path}"))?;
    report.file("@DB_PASSWORD_FILE")?.holds(DB_PASSWORD)?.is("file 0400 65534:65534")?;
    report.has_no("DB_PASSWORD")?;
    report.has("API_KEY", API_KEY)?;
    equal("the app's descriptors", &report.descriptors(), &vec![0, 1, 2, descriptor])?;
    Ok(tells_no_value("the log", &ended.stderr, [DB_PASSWORD.trim(), API_KEY])?)
}

/// Or in a private folder on a tmpfs, also without exec and suid: docker mounts one so.
pub(super) fn c22_file_in_run_dir(world: &World) -> Done {
    let (report, _) = with_manifest(world.engine()?, "run-dir")?
        .options(&["--tmpfs=/run"])
        .variable("CRYOKEY_RUN_DIR", "/run")
        .app(&["probe", "--file", "@DB_PASSWORD_FILE"])
        .report(0)?;
    let path = report.path("DB_PASSWORD_FILE")?;
    expect(path.starts_with("/run/cryokey-65534-") && path.ends_with("/DB_PASSWORD"), || {
        format!("DB_PASSWORD_FILE is {path}")
    })?;
    let file = report.file("@DB_PASSWORD_FILE")?;
    file.holds(DB_PASSWORD)?.is("file 0400 65534:65534")?.is_in("folder 0500 65534:65534")?;
    report.has_no("DB_PASSWORD")?;
    report.has_nothing_of_ours()?;
    Ok(equal("the app's descriptors", &report.descriptors(), &vec![0, 1, 2])?)
}

/// A read-only folder or one on a disk is refused, and the mount to add is named.
pub(super) fn c18_c19_no_place_for_files(world: &World) -> Done {
    let engine = world.engine()?;
    let run =
        |name| Ok::<_, String>(with_manifest(engine, name)?.variable("CRYOKEY_RUN_DIR", "/usr/local/bin"));
    refuses(&run("read-only")?.run()?, 73, &["DB_PASSWORD", "/usr/local/bin", "; to do: ", "tmpfs"])?;
    let on_disk = run("disk")?.options(&["--read-only=false", "--user=0:0"]);
    Ok(refuses(&on_disk.run()?, 73, &["DB_PASSWORD", "/usr/local/bin", "disk", "; to do: ", "tmpfs"])?)
}

/// A key pair as ssh-keygen makes it.
pub(super) struct SshKey {
    pub(super) private: String,
    pub(super) public: String,
}

pub(super) fn new_ssh_key(engine: &Engine) -> Result<SshKey, Stop> {
    let file = engine.scratch("ssh-keygen")?.join("key");
    let path = file.display().to_string();
    let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", &path];
    let Ok(made) = program::run(&mut command("ssh-keygen", &keygen)) else {
        return Err(Stop::NotRun(
            "ssh-keygen is not installed; to run it: apt-get install --yes --no-install-recommends openssh-client".into(),
        ));
    };
    made.success("ssh-keygen")?;
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    Ok(SshKey { private: read(&path)?, public: read(&format!("{path}.pub"))? })
}

/// An SSH key lands in ~/.ssh as ssh wants it.
pub(super) fn ssh_key(world: &World) -> Done {
    let engine = world.engine()?;
    let key = new_ssh_key(engine)?;
    let secrets = contract_folder(engine, "ssh-key")?;
    // As an editor on another system left it: CR LF, and no line end at the end.
    secrets.put("STAGING_SSH_KEY", key.private.trim_end().replace('\n', "\r\n"))?;
    secrets.put("PRODUCTION_SSH_KEY", "must not be looked at")?;
    let private = "/home/app/.ssh/id_ed25519";
    let public = "/home/app/.ssh/id_ed25519.pub";
    let (report, ended) = Run::hardened(engine)
        .secrets(&secrets)
        .options(&["--tmpfs=/home/app:uid=65534,gid=65534,mode=0755"])
        .variable("HOME", "/home/app")
        .variable("APP_ENV", "staging")
        .app(&["probe", "--file", private, "--file", public, "--folder", "/home/app"])
        .report(0)?;
    report
        .file(private)?
        .holds(&key.private)?
        .is("file 0600 65534:65534")?
        .is_in("folder 0700 65534:65534")?;
    report.file(public)?.is("file 0644 65534:65534")?;
    // The comment is ssh-keygen's, and whether it is kept is of no consequence.
    let wanted = key.public.rsplit_once(' ').map_or(key.public.as_str(), |(key, _comment)| key);
    expect(
        report.file(public)?.holds(&key.public).is_ok()
            || report.file(public)?.holds(format!("{wanted}\n")).is_ok(),
        || format!("{public} is not the public half of the key"),
    )?;
    // Nothing else was left there, not even a file half made; but for the notes by which cryokey knows its own files.
    let names: Vec<_> = report.tree("/home/app")?.into_iter().map(|(path, _)| path).collect();
    let others: Vec<&str> =
        names.iter().map(String::as_str).filter(|path| !path.ends_with(".cryokey")).collect();
    equal("what is in HOME", &others, &vec!["/home/app/.ssh", private, public])?;
    ["SSH_KEY", "STAGING_SSH_KEY", "PRODUCTION_SSH_KEY"].iter().try_for_each(|name| report.has_no(name))?;
    says("the log", &ended.stderr, &["SSH_KEY", "id_ed25519"])?;
    let secret_lines = key.private.lines().filter(|line| !line.starts_with("-----"));
    Ok(tells_no_value("the log", &ended.stderr, secret_lines)?)
}

/// A container that is started again has the key in its file system already: its own is kept or replaced by a new
/// one, and a file that somebody else wrote stays.
pub(super) fn c20_ssh_key_restart(world: &World) -> Done {
    const FILE: &str = "/.ssh/id_ed25519";
    let engine = world.engine()?;
    let (first, second) = (new_ssh_key(engine)?, new_ssh_key(engine)?);
    let secrets = contract_folder(engine, "ssh-key-restart")?;
    secrets.put("PRODUCTION_SSH_KEY", &first.private)?;
    let run = || {
        Run::plain(engine).secrets(&secrets).variable("APP_ENV", "Production").app(&["probe", "--file", FILE])
    };

    let container = run().start()?;
    container.report()?.file(FILE)?.holds(&first.private)?;
    engine.must(&["start", &container.id])?;
    container.report()?.file(FILE)?.holds(&first.private)?;
    secrets.put("PRODUCTION_SSH_KEY", &second.private)?;
    engine.must(&["start", &container.id])?;
    container.report()?.file(FILE)?.holds(&second.private)?.is("file 0600 0:0")?;

    let foreign = engine.scratch("foreign-key")?;
    fs::write(foreign.join("id_ed25519"), "somebody's")
        .map_err(|error| format!("the foreign key: {error}"))?;
    let mount = format!("--volume={}:/.ssh", foreign.display());
    refuses(&run().options(&[&mount]).run()?, 73, &["SSH_KEY", FILE, "; to do: ", "remove", "`path`"])?;
    let left = fs::read_to_string(foreign.join("id_ed25519")).unwrap_or_default();
    Ok(equal("the foreign file", &left.as_str(), &"somebody's")?)
}
