//! A value cannot get out by mistake: the programs in `tests/compile` must not compile, and what holds a value shows
//! none of it.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{Debug, Display};
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use cryokey::config::{Config, Flags};
use cryokey::delivery::Delivery;
use cryokey::environ::Environ;
use cryokey::manifest::SecretRule;
use cryokey::plan::Plan;
use cryokey::provider::environment::Environment;
use cryokey::provider::{Answer, Deadline, Found, Key, Provider as _, Reading, Request, Source, Value, Want};
use cryokey::resolve::{Accepted, Fate, Place, Resolution, Resolved, resolve};
use cryokey::run_as::RunAs;
use cryokey::secret::Secret;
use cryokey::ssh_key::Key as SshKey;
use init::Launch;

use crate::support::not_run;

/// Whose messages are in `tests/compile/*.stderr`. Another compiler says the same in other words; to write them anew:
/// `TRYBUILD=overwrite cargo test --test it programs_that`, and change this.
const COMPILER: &str = "rustc 1.95.";

/// Fails to compile when a type has a trait: `some` is then one of two. Unlike the programs, with any compiler.
macro_rules! assert_lacks {
    ($type:ty: $($lacking:path),+) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn some() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $lacking> Ambiguous<Has> for T {}
            let _ = <$type as Ambiguous<_>>::some;
        };
    )+};
}

assert_lacks!(Secret: Display, Clone, Copy, Error, serde::Serialize, Deref, AsRef<[u8]>, AsRef<str>, Into<Vec<u8>>, Into<String>);
assert_lacks!(Found: Display, Clone, serde::Serialize);
assert_lacks!(Answer: Display, Clone, serde::Serialize);
assert_lacks!(Value: Display, Clone, serde::Serialize);
assert_lacks!(Reading: Display, Clone, serde::Serialize);
assert_lacks!(Fate: Display, Clone, serde::Serialize);
assert_lacks!(Resolved: Display, Clone, serde::Serialize);
assert_lacks!(Resolution: Display, Clone, serde::Serialize);
assert_lacks!(Accepted<'static>: Display, serde::Serialize);
assert_lacks!(SshKey: Display, Clone, serde::Serialize);
assert_lacks!(Environ: Display, Clone, serde::Serialize);
assert_lacks!(Launch: Display, Clone, serde::Serialize);

#[test]
fn programs_that_let_a_value_out_do_not_compile() {
    let compiler = Command::new("rustc").arg("--version").output().unwrap();
    if compiler.stdout.starts_with(COMPILER.as_bytes()) {
        trybuild::TestCases::new().compile_fail("tests/compile/*.rs");
    } else {
        not_run(
            "compile::programs_that_let_a_value_out_do_not_compile",
            "the messages in tests/compile are of another compiler; to run it: use the one that tests/it/compile.rs names",
        );
    }
}

#[test]
fn debug_of_what_holds_a_value_shows_none_of_it() {
    const VALUE: &str = "qzvjx-5309-wkfbt";
    let hides = |shown: &dyn Debug| {
        for shown in [format!("{shown:?}"), format!("{shown:#?}")] {
            let bytes = format!("{:?}", VALUE.as_bytes());
            let found = [VALUE, bytes.trim_matches(['[', ']'])].into_iter().find(|form| shown.contains(form));
            assert!(found.is_none() && !shown.contains("qzv"), "{shown}");
        }
    };
    let secret = || Secret::new(VALUE.into());
    hides(&secret());
    let reading = Reading::Value(Box::new(Value::new(VALUE.into())));
    hides(&Found { key: Key::new("A"), name: None, reading });
    let environ = Environ::new([format!("API_KEY={VALUE}")]);
    hides(&environ);
    let mut launch = Launch::new(OsStr::new("app"), &[VALUE]).unwrap();
    launch.push_environment(format!("API_KEY={VALUE}").into_bytes()).unwrap();
    hides(&launch);
    hides(&SshKey::parse(include_bytes!("../data/id_ed25519")).unwrap());
    resolved(&environ, hides);
}

/// A resolution, with everything in it, and what was delivered of it.
fn resolved(environ: &Environ, hides: impl Fn(&dyn Debug)) {
    let manifest = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(manifest.path(), "version = 1\nallow_plain_env = true\n[secret.API_KEY]\n").unwrap();
    let flags = Flags { manifest: Some(manifest.path().into()), ..Flags::default() };
    let config = Config::load(flags, environ).unwrap();
    let plan = Plan::new(&config);
    assert_eq!(plan.entries[0].rule, SecretRule::DEFAULT);
    let opened = vec![(Source::Environment, Ok(Place::Local(Box::new(Environment(environ)))))];
    let resolution = resolve(plan, opened, Deadline::after(Duration::from_mins(1)));
    assert!(resolution.secrets[0].found().is_some());
    hides(&resolution);
    hides(&Delivery::new(&resolution, &config, environ, &RunAs::default()));
    let request = Request { keys: vec![(Key::new("API_KEY"), Want::Value)], ..Request::default() };
    let answer = Environment(environ).read(&request, Deadline::after(Duration::from_mins(1))).unwrap();
    assert_eq!(answer.found.len(), 1);
    hides(&answer);
}
