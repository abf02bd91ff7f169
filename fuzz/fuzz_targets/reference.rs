//! Runs `cryokey_fuzz::reference`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(reference);
