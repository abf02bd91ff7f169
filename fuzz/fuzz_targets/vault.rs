//! Runs `cryokey_fuzz::vault`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(vault);
