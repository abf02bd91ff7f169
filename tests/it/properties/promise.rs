//! `check` exits with 0 exactly when `run` reaches the app, in whatever situation both are started.

use std::process::Command;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Outcome, Test, chmod, memory};

const KEY: &str = include_str!("../../data/id_ed25519");

/// What is asked for, and what it is asked in.
#[derive(Debug, Clone)]
struct Situation {
    deliveries: [&'static str; 2],
    sizes: [usize; 2],
    has_key: bool,
    switches: Vec<(&'static str, &'static str)>,
    /// A script that prepares the sandbox.
    prepared: &'static str,
    home: Option<&'static str>,
    run_dir: RunDir,
    limits: String,
    is_nobody: bool,
}

/// Where files shall go.
#[derive(Debug, Clone, Copy)]
enum RunDir {
    None,
    InMemory(u32),
    Named(&'static str),
}

/// In the sandbox: what is in the way, and what is missing.
const PREPARED: [&str; 16] = [
    "true",
    "chmod 500 home",
    "chmod 300 home",
    "mkdir -m 700 home/.ssh && chown 65534 home/.ssh",
    "mkdir -m 500 home/.ssh && chown 65534 home/.ssh",
    "mkdir -m 300 home/.ssh && chown 65534 home/.ssh",
    "mkdir -m 700 home/.ssh",
    "touch home/.ssh",
    "ln -s nowhere home/.ssh",
    "ln -s ../work home/.ssh",
    "mkdir -m 700 home/.ssh && echo theirs > home/.ssh/id_ed25519 && chown -R 65534 home",
    "mkdir -m 700 home/.ssh && echo theirs > home/.ssh/id_ed25519.pub && chown -R 65534 home",
    "mkdir -p home/.ssh/id_ed25519.pub && chown -R 65534 home",
    "chmod 0 secrets/A",
    "chmod 0 secrets",
    "rm secrets/A && mkdir secrets/A",
];

fn situation() -> impl Strategy<Value = Situation> {
    let delivery = || select(vec!["env", "file", "both"]);
    let size = || select(vec![0, 20, 20, 20, 60_000, 131_068, 131_069, 200_000]);
    let switches = prop::collection::vec(
        select(vec![
            ("STRICT_SECRET_MODE", "false"),
            ("CRYOKEY_STRICT_PERMISSIONS", "true"),
            ("CRYOKEY_ALLOW_DISK", "true"),
            ("CRYOKEY_ENVIRONMENT", "staging"),
            ("APP_ENV", "development"),
            ("A", "plain"),
            ("B_FILE", "/etc/hostname"),
        ]),
        0..3,
    );
    let home = option::weighted(0.3, select(vec!["", "/", "relative", "/nonexistent/home", "/dev/null"]));
    let run_dir = prop_oneof![
        3 => Just(RunDir::None),
        3 => select(vec![0o700, 0o500, 0o300, 0o100]).prop_map(RunDir::InMemory),
        2 => select(vec!["/nonexistent", "/etc/hostname", "/proc", ".", "relative", "/dev/shm"]).prop_map(RunDir::Named),
    ];
    let limits = (option::weighted(0.4, 3..14_u32), option::weighted(0.2, select(vec![256, 512, 2_048])));
    let limits = limits.prop_map(|(files, stack)| {
        let files = files.map(|files| format!("ulimit -n {files}; ")).unwrap_or_default();
        files + &stack.map(|stack| format!("ulimit -s {stack}; ")).unwrap_or_default()
    });
    let asked = ([delivery(), delivery()], [size(), size()], any::<bool>(), switches);
    let surroundings = (select(PREPARED.as_slice()), home, run_dir, limits, prop::bool::weighted(0.7));
    (asked, surroundings).prop_map(
        |((deliveries, sizes, has_key, switches), (prepared, home, run_dir, limits, is_nobody))| Situation {
            deliveries,
            sizes,
            has_key,
            switches,
            prepared,
            home,
            run_dir,
            limits,
            is_nobody,
        },
    )
}

impl Situation {
    fn test(&self) -> Test {
        let [first, second] = self.deliveries;
        let key = if self.has_key { "[secret.KEY]\nrequired = true\ndeliver = \"ssh\"\n" } else { "" };
        let mut test = Test::with(&format!(
            "environments = [\"staging\"]\n[secret.A]\nrequired = true\ndeliver = \"{first}\"\n\
             [secret.B]\ndeliver = \"{second}\"\n{key}"
        ));
        for (name, size) in ["A", "B"].into_iter().zip(self.sizes) {
            test = test.public_file(&format!("secrets/{name}"), "v".repeat(size), 0o444);
        }
        test = test.public_file("secrets/KEY", KEY, 0o444).variable("CRYOKEY_LOG", "info");
        for (name, value) in &self.switches {
            test = test.variable(name, *value);
        }
        test = self.home.into_iter().fold(test, |test, home| test.variable("HOME", home));
        test = match self.run_dir {
            RunDir::None => test,
            RunDir::Named(path) => test.variable("CRYOKEY_RUN_DIR", path),
            RunDir::InMemory(mode) => {
                let test = test.deliver_to(memory());
                chmod(test.run_dir(), mode);
                test
            }
        };
        // Where the tests are not run by root, what needs root is another situation, and just as good.
        let _ =
            Command::new("/bin/sh").args(["-c", self.prepared]).current_dir(test.at("")).status().unwrap();
        test = test.through_shell(&format!("{} exec \"$@\"", self.limits));
        if self.is_nobody { test.by_nobody() } else { test }
    }
}

/// Whether cryokey got as far as the app, whatever that came to.
fn has_reached_the_app(outcome: &Outcome) -> bool {
    let is_refusal = |line: &str| line.contains(" error exit code=") && !line.contains("phase=exec");
    !outcome.stderr.lines().last().is_some_and(is_refusal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn check_promises_what_run_keeps(situation in situation()) {
        let test = situation.test();
        let checked = test.command(["check"]);
        // Too few descriptors even for the programs before it.
        prop_assume!(checked.stderr.contains("exit code=") || checked.code == 0);
        let ran = test.run(["/bin/true"]);
        prop_assert_eq!(
            checked.code == 0,
            has_reached_the_app(&ran),
            "check: {}\n{}\nrun: {}\n{}",
            checked.code,
            checked.stderr,
            ran.code,
            ran.stderr
        );
    }
}
