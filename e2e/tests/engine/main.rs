//! cryokey in real containers: with `docker run`, Compose and Swarm.

mod support;

mod compose;
mod delivery;
mod drain;
mod examples;
mod image;
mod leak;
mod limits;
mod process;
mod run;
mod stop;
mod swarm;
mod user;
