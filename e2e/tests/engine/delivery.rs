//! Secrets that reach the app as files.

use std::fs;

use e2e::need::or_not_run;
use e2e::program::{command, try_run};
use e2e::secrecy::tells_no_value;

use crate::support::{Directory, Engine, FIX, Run, engine, refuses, says};

const MANIFEST: &str = r#"
version = 1

[secret.DB_PASSWORD]
required = true
deliver  = "file"

[secret.API_KEY]
"#;

/// With a trailing newline: files keep theirs.
const DB_PASSWORD: &str = "Rw8uM3nB6vC1\n";
const API_KEY: &str = "Tg5hN9jK2pX7";

/// An image with a manifest of its own, and its secrets.
fn with_manifest(engine: &Engine) -> Run<'_> {
    let secrets = Directory::readable(engine.scratch());
    let secrets = secrets.put_all(&[("DB_PASSWORD", DB_PASSWORD), ("API_KEY", API_KEY)]);
    Run::hardened(engine).secrets(&secrets).manifest(MANIFEST)
}

/// Engines mount a tmpfs at /dev/shm that every user can write to, in a read-only container too. podman mounts one at
/// /run as well.
#[test]
fn a_read_only_container_gets_a_secret_as_a_file_on_the_tmpfs_of_the_engine() {
    let Some(engine) = engine() else { return };
    let app = ["probe", "--file", "@DB_PASSWORD_FILE"];
    let (report, ended) = with_manifest(engine).app(&app).report(0);
    let path = report.path("DB_PASSWORD_FILE");
    let directories = ["/run/cryokey-65534-", "/dev/shm/cryokey-65534-"];
    assert!(directories.iter().any(|directory| path.starts_with(directory)), "{path}");
    let file = report.file("@DB_PASSWORD_FILE");
    file.holds(DB_PASSWORD).is("file 0400 65534:65534").is_in("directory 0500 65534:65534");
    report.has_no("DB_PASSWORD").has("API_KEY", API_KEY);
    assert_eq!(report.descriptors(), [0, 1, 2]);
    tells_no_value("the log", &ended.stderr, [DB_PASSWORD.trim(), API_KEY]);
}

/// Without an IPC namespace to share, the engine mounts no /dev/shm.
#[test]
fn a_read_only_container_without_a_writable_tmpfs_gets_a_secret_as_an_in_memory_file() {
    let Some(engine) = engine() else { return };
    let app = ["probe", "--file", "@DB_PASSWORD_FILE"];
    let (report, ended) = with_manifest(engine).options(&["--ipc=none"]).app(&app).report(0);
    let descriptor: u32 =
        report.path("DB_PASSWORD_FILE").strip_prefix("/proc/self/fd/").unwrap().parse().unwrap();
    assert!(descriptor >= 1_000, "{descriptor}");
    report.file("@DB_PASSWORD_FILE").holds(DB_PASSWORD).is("file 0400 65534:65534");
    assert_eq!(report.descriptors(), [0, 1, 2, descriptor]);
    tells_no_value("the log", &ended.stderr, [DB_PASSWORD.trim(), API_KEY]);
}

/// docker mounts the tmpfs without exec and suid.
#[test]
fn c22_a_secret_becomes_a_file_in_a_private_directory_on_a_tmpfs() {
    let Some(engine) = engine() else { return };
    let (report, _) = with_manifest(engine)
        .options(&["--tmpfs=/run"])
        .variable("CRYOKEY_RUN_DIR", "/run")
        .app(&["probe", "--file", "@DB_PASSWORD_FILE"])
        .report(0);
    let path = report.path("DB_PASSWORD_FILE");
    assert!(path.starts_with("/run/cryokey-65534-") && path.ends_with("/DB_PASSWORD"), "{path}");
    let file = report.file("@DB_PASSWORD_FILE");
    file.holds(DB_PASSWORD).is("file 0400 65534:65534").is_in("directory 0500 65534:65534");
    report.has_no("DB_PASSWORD").has_nothing_of_ours();
    assert_eq!(report.descriptors(), [0, 1, 2]);
}

#[test]
fn c18_c19_a_read_only_directory_or_one_on_a_disk_is_refused_and_the_mount_to_add_is_named() {
    let Some(engine) = engine() else { return };
    let run = || with_manifest(engine).variable("CRYOKEY_RUN_DIR", "/usr/local/bin");
    refuses(&run().run(), 73, &["DB_PASSWORD", "/usr/local/bin", FIX, "tmpfs"]);
    let on_disk = run().options(&["--read-only=false", "--user=0:0"]);
    refuses(&on_disk.run(), 73, &["DB_PASSWORD", "/usr/local/bin", "disk", FIX, "tmpfs"]);
}

/// A key pair as ssh-keygen makes it.
pub(crate) struct SshKey {
    pub(crate) private: String,
    pub(crate) public: String,
}

/// A new one, or a note that the test did not run.
pub(crate) fn new_ssh_key(engine: &Engine) -> Option<SshKey> {
    let private = engine.scratch().join("key");
    let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f"].map(AsRef::as_ref);
    let made = try_run(&mut command("ssh-keygen", [&keygen[..], &[private.as_os_str()]].concat()));
    let install = "apt-get install --yes --no-install-recommends openssh-client";
    or_not_run(made.map_err(|error| format!("ssh-keygen: {error}; to run it: {install}")))?.with(0);
    let public = fs::read_to_string(private.with_extension("pub")).unwrap();
    Some(SshKey { private: fs::read_to_string(private).unwrap(), public })
}

#[test]
fn an_ssh_key_is_delivered_as_ssh_wants_it() {
    const PRIVATE: &str = "/home/app/.ssh/id_ed25519";
    const PUBLIC: &str = "/home/app/.ssh/id_ed25519.pub";
    let Some(engine) = engine() else { return };
    let Some(key) = new_ssh_key(engine) else { return };
    let secrets = engine.contract_directory();
    // As an editor on another system left it: CR LF, and no line end at the end.
    secrets.put("STAGING_SSH_KEY", key.private.trim_end().replace('\n', "\r\n"));
    secrets.put("PRODUCTION_SSH_KEY", "must not be looked at");
    let (report, ended) = Run::hardened(engine)
        .secrets(&secrets)
        .options(&["--tmpfs=/home/app:uid=65534,gid=65534,mode=0755"])
        .variable("HOME", "/home/app")
        .variable("APP_ENV", "staging")
        .app(&["probe", "--file", PRIVATE, "--file", PUBLIC, "--directory", "/home/app"])
        .report(0);
    let private = report.file(PRIVATE);
    private.holds(&key.private).is("file 0600 65534:65534").is_in("directory 0700 65534:65534");
    let public = report.file(PUBLIC);
    public.is("file 0644 65534:65534");
    // The comment is ssh-keygen's, and whether it is kept is of no consequence.
    let (without_comment, _) = key.public.rsplit_once(' ').unwrap();
    assert!(public.has_content(&key.public) || public.has_content(format!("{without_comment}\n")));
    // Nothing else was left there, not even a file half made; but for the notes by which cryokey knows its own files.
    let names = report.tree("/home/app").into_iter().map(|(path, _)| path);
    let others: Vec<_> = names.filter(|path| !path.ends_with(".cryokey")).collect();
    assert_eq!(others, ["/home/app/.ssh", PRIVATE, PUBLIC]);
    report.has_no("SSH_KEY").has_no("STAGING_SSH_KEY").has_no("PRODUCTION_SSH_KEY");
    says(&ended.stderr, &["SSH_KEY", "id_ed25519"]);
    tells_no_value("the log", &ended.stderr, key.private.lines().filter(|line| !line.starts_with("-----")));
}

#[test]
fn c20_an_ssh_key_of_the_last_startup_is_kept_or_replaced_and_a_foreign_one_stays() {
    const FILE: &str = "/.ssh/id_ed25519";
    let Some(engine) = engine() else { return };
    let (Some(first), Some(second)) = (new_ssh_key(engine), new_ssh_key(engine)) else { return };
    let secrets = engine.contract_directory();
    secrets.put("PRODUCTION_SSH_KEY", &first.private);
    let run = || {
        Run::plain(engine).secrets(&secrets).variable("APP_ENV", "Production").app(&["probe", "--file", FILE])
    };

    let container = run().start();
    container.report().file(FILE).holds(&first.private);
    engine.must(&["start", &container.id]);
    container.report().file(FILE).holds(&first.private);
    secrets.put("PRODUCTION_SSH_KEY", &second.private);
    engine.must(&["start", &container.id]);
    container.report().file(FILE).holds(&second.private).is("file 0600 0:0");

    let foreign = engine.scratch();
    fs::write(foreign.join("id_ed25519"), "another program's").unwrap();
    let mount = format!("--volume={}:/.ssh", foreign.display());
    refuses(&run().options(&[&mount]).run(), 73, &["SSH_KEY", FILE, FIX, "remove", "`path`"]);
    assert_eq!(fs::read_to_string(foreign.join("id_ed25519")).unwrap(), "another program's");
}
