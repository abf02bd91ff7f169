//! Runs `cryokey_fuzz::compose`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(compose);
