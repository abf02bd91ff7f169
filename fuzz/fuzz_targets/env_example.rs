//! Runs `cryokey_fuzz::env_example`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(env_example);
