//! The images: the probe's from scratch, the example's from its own Dockerfile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Engine;
use crate::expect::Stop;
use crate::program;

/// cryokey, the probe and nothing else: no shell, passwd, nsswitch.conf or CA bundle.
pub(crate) const PROBE: &str = "probe";
/// The same with an /etc that static programs with a name service in them stumble over.
pub(crate) const FOREIGN: &str = "probe-foreign";
/// The example's image; the name that its files use.
pub(crate) const FLASK: &str = "cryokey-flask";
/// The base image that the example names. It cannot be pulled here, so one of the same name is made.
const PYTHON: &str = "python:3.11-slim";

const PROBE_DOCKERFILE: &str = r#"
FROM scratch
COPY cryokey probe /usr/local/bin/
ENTRYPOINT ["cryokey", "run", "--"]
CMD ["probe"]
"#;

const FOREIGN_DOCKERFILE: &str = "
FROM probe
COPY etc /etc
";

/// Every database through services whose libraries the image does not have.
const NSSWITCH: &str = "\
passwd:   sss files systemd
group:    sss files systemd
hosts:    resolve [!UNAVAIL=return] myhostname sss files dns
";

const PASSWD: &str =
    "root:x:0:0:root:/root:/nonexistent\nnobody:x:65534:65534:nobody:/home/nobody:/nonexistent\n";

pub(crate) fn build_probe(engine: &Engine, cryokey: &Path, probe: &Path) -> Result<(), String> {
    let context = engine.scratch("probe-image")?;
    for (program, name) in [(cryokey, "cryokey"), (probe, "probe")] {
        fs::copy(program, context.join(name)).map_err(|error| format!("{}: {error}", program.display()))?;
    }
    build(engine, &context, PROBE, PROBE_DOCKERFILE)?;

    let context = engine.scratch("foreign-image")?;
    let told = |error| format!("the foreign image: {error}");
    fs::create_dir(context.join("etc")).map_err(told)?;
    fs::write(context.join("etc/nsswitch.conf"), NSSWITCH).map_err(told)?;
    fs::write(context.join("etc/passwd"), PASSWD).map_err(told)?;
    build(engine, &context, FOREIGN, FOREIGN_DOCKERFILE)
}

fn build(engine: &Engine, context: &Path, name: &str, dockerfile: &str) -> Result<(), String> {
    let file = context.join("Dockerfile");
    fs::write(&file, dockerfile).map_err(|error| format!("{}: {error}", file.display()))?;
    engine.must(&["build", "--quiet", "--tag", name, &context.display().to_string()]).map(drop)
}

/// The probe as a static program, in e2e's own target folder.
pub(crate) fn compile_probe(e2e: &Path) -> Result<PathBuf, String> {
    let version = program::run(Command::new("rustc").arg("-vV"))?.success("rustc -vV")?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
    let target = e2e.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--release", "--package", "probe", "--target", host]);
    build.arg("--manifest-path").arg(e2e.join("Cargo.toml")).arg("--target-dir").arg(&target);
    // With --target the flags reach the program only, not what is run while it is built.
    build.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    program::run(&mut build)?.success("building the probe")?;
    Ok(target.join(host).join("release/probe"))
}

/// A copy of the examples with everything that a user puts beside them: the binary in the build context.
pub(crate) fn copy_examples(engine: &Engine, examples: &Path, cryokey: &Path) -> Result<PathBuf, String> {
    let copy = engine.scratch("examples")?;
    copy_folder(examples, &copy)?;
    fs::copy(cryokey, copy.join("flask/cryokey"))
        .map_err(|error| format!("{}: {error}", cryokey.display()))?;
    Ok(copy)
}

/// A folder with everything below it, as `cp -r` has it.
fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let told = |error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(told)?;
    for entry in fs::read_dir(from).map_err(told)? {
        let entry = entry.map_err(told)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).map_err(told)?;
        }
    }
    Ok(())
}

/// The example's image from its own Dockerfile, on a base image made by hand.
pub(crate) fn build_flask(engine: &Engine, e2e: &Path, examples: &Path) -> Result<(), Stop> {
    let base = e2e.join("target/python-base");
    let mut script = Command::new(e2e.join("python-base.sh"));
    script.arg(&base).arg(examples.join("flask/requirements.txt"));
    let ended = program::run(&mut script)?;
    if ended.code != 0 {
        let why = ended.said();
        let retry = "e2e/python-base.sh e2e/target/python-base examples/flask/requirements.txt";
        return Err(Stop::NotRun(format!("no base image: {}; to run it: {retry}", why.trim())));
    }
    import_base(engine, &base.join("rootfs.tar"))?;
    engine.must(&["build", "--quiet", "--tag", FLASK, &examples.join("flask").display().to_string()])?;
    Ok(())
}

/// What the official image sets, plus where pip finds the packages that were downloaded beforehand.
fn import_base(engine: &Engine, root: &Path) -> Result<(), String> {
    let change = "ENV PATH=/usr/local/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_BREAK_SYSTEM_PACKAGES=1";
    engine.must(&["import", "--change", change, &root.display().to_string(), PYTHON]).map(drop)
}
