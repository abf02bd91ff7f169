//! cryokey in real containers: with `docker run`, Compose and Swarm.

mod support;

mod compose;
mod delivery;
mod examples;
mod image;
mod limits;
mod run;
mod swarm;
