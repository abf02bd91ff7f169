//! Runs `cryokey_fuzz::manifest`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(manifest);
