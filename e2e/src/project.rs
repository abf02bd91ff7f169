//! The project, and the binary under test.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary under test.
pub fn binary() -> PathBuf {
    let target = || std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let named = std::env::var_os("CRYOKEY_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| root().join(target()).join("dist/cryokey"));
    assert!(
        binary.is_file(),
        "{} does not exist; make it with `cargo xtask dist`, or name another with CRYOKEY_BINARY",
        binary.display()
    );
    binary
}
