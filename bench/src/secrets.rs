//! The secrets used for measuring: generated, valid for the built-in profile, removed afterwards.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::names::NAMES;

/// A private directory for everything that the benchmark writes; removed at the end.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

/// A directory of secret files, as a platform mounts it.
pub(crate) struct Secrets {
    pub(crate) directory: PathBuf,
}

impl Directory {
    pub(crate) fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("cryokey-bench-{}", std::process::id()));
        make_directory(&path)?;
        Ok(Self { path })
    }

    /// The built-in profile's 16 secrets.
    pub(crate) fn sixteen(&self) -> Result<Secrets, String> {
        let secrets = Secrets { directory: self.path.join("profile") };
        make_directory(&secrets.directory)?;
        for name in NAMES {
            write(&secrets.directory.join(name), &format!("{}\n", value(name)))?;
        }
        Ok(secrets)
    }

    /// `count` secrets of 100 bytes, and the manifest that declares them.
    pub(crate) fn many(&self, count: usize) -> Result<(Secrets, PathBuf), String> {
        let secrets = Secrets { directory: self.path.join(format!("many-{count}")) };
        make_directory(&secrets.directory)?;
        let mut manifest = "version = 1\n".to_owned();
        for number in 0..count {
            let name = format!("SECRET_{number:05}");
            write(&secrets.directory.join(&name), &format!("{number:0100}"))?;
            manifest.extend(["[secret.", name.as_str(), "]\nrequired = true\n"]);
        }
        let path = self.path.join(format!("many-{count}.toml"));
        write(&path, &manifest)?;
        Ok((secrets, path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}

/// A value that passes every rule of the built-in profile.
pub(crate) fn value(name: &str) -> String {
    if name.ends_with("_URL") {
        format!("https://bench.example.org/{}", name.to_lowercase())
    } else {
        format!("{name:x<48}").to_lowercase()
    }
}

fn make_directory(path: &Path) -> Result<(), String> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    let create = || File::options().write(true).create_new(true).mode(0o400).open(path);
    create()
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()))
}
