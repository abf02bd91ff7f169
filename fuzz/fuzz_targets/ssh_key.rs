//! Runs `cryokey_fuzz::ssh_key`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(ssh_key);
