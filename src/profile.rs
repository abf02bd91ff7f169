//! The built-in profile, compiled to Rust by build.rs.

use std::collections::BTreeMap;

use crate::manifest::{Deliver, Format, Manifest, SecretRule};
use crate::name::{EnvName, Variant};
use crate::setting::{Layer, Undeclared};

/// The profile that applies when no manifest is found.
#[must_use]
pub fn built_in() -> Manifest {
    include!(concat!(env!("OUT_DIR"), "/profile.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("profile/cryoprotect.toml");

    #[test]
    fn the_built_in_profile_equals_its_file() {
        assert_eq!(Manifest::parse(TEXT, "cryoprotect.toml").unwrap(), built_in());
    }

    #[test]
    fn it_holds_the_lists_of_the_contract() {
        let profile = built_in();
        let required = |name: &&EnvName| profile.secrets[*name].required;
        let names: Vec<&str> = profile.secrets.keys().filter(required).map(EnvName::as_str).collect();
        assert_eq!(names, ["SECRET_KEY", "SUPABASE_KEY", "SUPABASE_URL"]);
        assert_eq!(profile.secrets.len(), 3 + 13 + 1);
    }
}
