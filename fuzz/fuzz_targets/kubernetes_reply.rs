//! Runs `cryokey_fuzz::kubernetes_reply`.
#![cfg_attr(fuzzing, no_main)]

cryokey_fuzz::program!(kubernetes_reply);
