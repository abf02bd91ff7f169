//! The images: the probe's from scratch, the example's from its own Dockerfile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use e2e::need::or_not_run;
use e2e::program::{command, run};
use e2e::project::{binary, root};

use super::Engine;

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

pub(super) fn build_probe(engine: &Engine) {
    let context = engine.scratch();
    install(&context.join("cryokey"));
    fs::copy(compile_probe(), context.join("probe")).unwrap();
    build(engine, &context, PROBE, PROBE_DOCKERFILE);

    let context = engine.scratch();
    fs::create_dir(context.join("etc")).unwrap();
    fs::write(context.join("etc/nsswitch.conf"), NSSWITCH).unwrap();
    fs::write(context.join("etc/passwd"), PASSWD).unwrap();
    build(engine, &context, FOREIGN, FOREIGN_DOCKERFILE);
}

fn build(engine: &Engine, context: &Path, name: &str, dockerfile: &str) {
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    engine.must(&["build", "--quiet", "--tag", name, context.to_str().unwrap()]);
}

/// The probe as a static program, which Cargo's dependencies between packages cannot ask for.
fn compile_probe() -> PathBuf {
    let host = run(Command::new("rustc").args(["--print", "host-tuple"])).with(0).stdout;
    let target = kept().parent().unwrap();
    let mut build = command(
        env!("CARGO"),
        [
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package=probe",
            "--target",
            host.trim(),
            "--target-dir",
        ],
    );
    // With --target the flags reach the program only, not what is run while it is built.
    build.arg(target).env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    run(build.current_dir(env!("CARGO_MANIFEST_DIR"))).with(0);
    target.join(host.trim()).join("release/probe")
}

/// A directory in e2e's target directory that is kept between runs.
fn kept() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A copy of the examples whose image is built, or a note that the test did not run.
pub(crate) fn built_examples(engine: &Engine) -> Option<&'static Path> {
    static EXAMPLES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let copy = engine.scratch();
        run(&mut command("cp", ["-r".as_ref(), root().join("examples/.").as_path(), &copy])).with(0);
        install(&copy.join("flask/cryokey"));
        build_flask(engine, &copy.join("flask")).map(|()| copy)
    };
    or_not_run(EXAMPLES.get_or_init(build).as_deref())
}

/// The example's image from its own Dockerfile, on a base image made by hand.
fn build_flask(engine: &Engine, flask: &Path) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python-base.sh");
    let base = kept().join("python-base");
    let words = [script, base.clone(), flask.join("requirements.txt")];
    let ended = run(&mut command("/bin/sh", &words));
    if ended.code != 0 {
        let line = format!("{} {} {}", words[0].display(), base.display(), "examples/flask/requirements.txt");
        return Err(format!(
            "no base image: {}; to run it: {line}",
            ended.said().trim().replace('\n', " | ")
        ));
    }
    import_base(engine, &base.join("rootfs.tar"));
    engine.must(&["build", "--quiet", "--tag", FLASK, flask.to_str().unwrap()]);
    Ok(())
}

/// What the official image sets, plus where pip finds the packages that were downloaded beforehand.
fn import_base(engine: &Engine, root: &Path) {
    let change = "ENV PATH=/usr/local/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_BREAK_SYSTEM_PACKAGES=1";
    engine.must(&["import", "--change", change, root.to_str().unwrap(), PYTHON]);
}

/// As the documentation has it: executable for all, readable for root only.
fn install(path: &Path) {
    fs::copy(binary(), path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o711)).unwrap();
}
