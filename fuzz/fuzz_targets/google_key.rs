//! Runs `cryokey_fuzz::google_key`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(google_key);
