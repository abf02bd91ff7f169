//! Runs `cryokey_fuzz::name`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(name);
