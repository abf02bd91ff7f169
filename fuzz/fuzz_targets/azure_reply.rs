//! Runs `cryokey_fuzz::azure_reply`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(azure_reply);
