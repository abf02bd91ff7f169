//! Runs `cryokey_fuzz::aws_reply`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(aws_reply);
