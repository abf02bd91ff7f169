//! Runs `cryokey_fuzz::google_reply`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(google_reply);
