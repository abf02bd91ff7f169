//! What the tests of remote providers share: a network, servers in it, and cryokey in front of them.

mod amazon;
mod authority;
mod azure;
mod daemon;
mod dns;
mod emulator;
pub(crate) mod google;
mod http;
mod impostor;
mod installed;
mod jwt;
pub(crate) mod kubernetes;
mod ministack;
mod moto;
mod network;
mod openbao;
mod portal;
mod proxy;
mod sandbox;
mod service;

// What the product's own tests use.
#[path = "../../../../tests/it/support/leak.rs"]
#[allow(dead_code, reason = "the product's tests use more of it")]
mod leak;
#[path = "../../../../tests/it/support/outcome.rs"]
#[allow(dead_code, reason = "the product's tests use more of it")]
mod outcome;
#[path = "../../../../tests/it/support/tree.rs"]
mod tree;

pub(crate) use amazon::{Amazon, REGION, Role, Session, User, unique};
pub(crate) use authority::{Authority, Certified};
pub(crate) use azure::{
    Azure, HOSTS, LOGIN, OTHER_LOGIN, OTHER_VAULT_HOST, Proof, TENANT, VAULT, VAULT_HOST, azure,
};
pub(crate) use daemon::Daemon;
pub(crate) use dns::{Answer, Dns};
pub(crate) use http::{exchange, request};
pub(crate) use impostor::Impostor;
pub(crate) use installed::{installed, installed_program};
pub(crate) use jwt::Issuer;
pub(crate) use leak::{Canaries, canary};
pub(crate) use ministack::{Ministack, ministack};
pub(crate) use moto::{Moto, SECRETS_MANAGER, STS, moto};
pub(crate) use network::{Network, REFUSING_V6, network};
pub(crate) use openbao::{Client, NAME, OpenBao, READ, openbao, sealed_openbao, text};
pub(crate) use outcome::Outcome;
pub(crate) use portal::{PORTAL, Portal};
pub(crate) use proxy::{BlackHole, Fault, Proxy};
pub(crate) use sandbox::{SHOW, Sandbox};
pub(crate) use service::{Asked, Service};
use tree::Tree;
