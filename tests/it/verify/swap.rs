//! Secrets that are replaced while they are read, as Kubernetes replaces them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cryokey::provider::files::{Files, Settings};
use cryokey::provider::{Deadline, Names, Provider as _, Reading, Request, Value, Want};
use tempfile::TempDir;

use super::times;
use crate::support::{CRYOKEY, started};

/// A volume as the kubelet writes it: a directory for each generation, and `..data` that points to the current one. Both
/// files of a generation hold its number.
struct Volume {
    directory: TempDir,
    current: u64,
}

impl Volume {
    fn new() -> Self {
        let mut volume = Self { directory: tempfile::tempdir().unwrap(), current: 0 };
        for name in ["DB_USER", "DB_PASSWORD"] {
            symlink(format!("..data/{name}"), volume.at(name)).unwrap();
        }
        volume.swap();
        volume
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn swap(&mut self) {
        let old = self.at(&format!("..{}", self.current));
        self.current += 1;
        let new = format!("..{}", self.current);
        fs::create_dir(self.at(&new)).unwrap();
        for name in ["DB_USER", "DB_PASSWORD"] {
            fs::write(self.at(&new).join(name), self.current.to_string()).unwrap();
        }
        symlink(&new, self.at("..data_tmp")).unwrap();
        fs::rename(self.at("..data_tmp"), self.at("..data")).unwrap();
        if old.exists() {
            fs::remove_dir_all(old).unwrap();
        }
    }
}

/// Swaps as fast as it can, until there were enough swaps and enough reads.
fn swap_while(volume: &mut Volume, swaps: usize, reads: usize, read: impl Fn() + Sync) {
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                read();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut done = 0;
        while (done < swaps || count.load(Ordering::Relaxed) < reads) && !reader.is_finished() {
            volume.swap();
            done += 1;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{} swaps, {} reads", volume.current, count.into_inner());
}

#[test]
fn verify_a_pair_that_is_swapped_while_it_is_read_is_never_mixed() {
    let mut volume = Volume::new();
    let directory = volume.directory.path().to_owned();
    let settings = Settings { directory, name_prefix: String::new(), strict_permissions: false };
    let names = Names::new(["DB_USER", "DB_PASSWORD"].map(|name| (name.into(), Want::Value)).into());
    swap_while(&mut volume, times(300, 10_000), times(200, 10_000), || {
        let request = Request { names: names.clone(), ..Request::default() };
        let answer =
            Files::new(settings.clone()).read(&request, Deadline::after(Duration::from_mins(1))).unwrap();
        let values: Vec<&Value> = answer
            .found
            .iter()
            .filter_map(|found| match &found.reading {
                Reading::Value(value) => Some(&**value),
                _ => None,
            })
            .collect();
        let [one, other] = values.as_slice() else { panic!("only {:?} was found", answer.found) };
        assert!(one.secret == other.secret, "{:?} and {:?}", one.secret.expose(), other.secret.expose());
    });
}

#[test]
fn verify_an_app_never_starts_with_a_mixed_pair() {
    let mut volume = Volume::new();
    let directory = volume.directory.path().to_owned();
    let inputs = tempfile::tempdir().unwrap();
    let manifest = inputs.path().join("manifest");
    let text = "version = 1\n[secret.DB_USER]\nrequired = true\n[secret.DB_PASSWORD]\nrequired = true\n";
    fs::write(&manifest, text).unwrap();
    swap_while(&mut volume, times(300, 10_000), times(20, 500), || {
        let words: Vec<OsString> = started(&*CRYOKEY).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args([
            "run",
            "--",
            "/bin/sh",
            "-c",
            r#"test "$DB_USER" = "$DB_PASSWORD" && test -n "$DB_USER""#,
        ]);
        command.env_clear().env("CRYOKEY_MANIFEST", &manifest).env("CRYOKEY_SECRETS_DIR", &directory);
        let output = command.current_dir(inputs.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}
