//! Runs `cryokey_fuzz::aws_config`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(aws_config);
