//! Runs `cryokey_fuzz::setting`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(setting);
