//! cryokey and the servers that hold secrets, in a network of their own.

mod conformance;
mod support;

mod aws;
mod aws_faults;
mod aws_identity;
mod aws_permissions;
mod aws_profile;
mod aws_references;
mod azure;
mod azure_agreement;
mod azure_faults;
mod azure_judge;
mod azure_protocol;
mod five;
mod google;
mod google_agreement;
mod google_drongo;
mod google_faults;
mod google_judge;
mod google_judge_identity;
mod google_protocol;
mod kubernetes;
mod kubernetes_config;
mod kubernetes_examples;
mod kubernetes_faults;
mod round_trips;
mod server;
mod sign_in;
mod storm;
mod surroundings;
mod term;
mod two;
mod vault;
#[cfg(feature = "hashicorp")]
mod vault_aws;
