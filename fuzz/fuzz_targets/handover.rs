//! Runs `cryokey_fuzz::handover`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(handover);
