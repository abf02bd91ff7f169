//! What an init costs while nothing happens.

use std::thread::sleep;
use std::time::Duration;

use crate::container::{Container, sh};
use crate::process::{switches, ticks};
use crate::subject::Subject;

const SETTLED: Duration = Duration::from_millis(300);
pub(crate) const OBSERVED: Duration = Duration::from_secs(2);

pub(crate) struct Cost {
    pub(crate) wake_ups: u64,
    pub(crate) ticks: u64,
}

pub(crate) fn cost(subject: &Subject) -> Result<Cost, String> {
    let container = Container::ready(subject, &sh("echo ready >log; exec sleep 300"))?;
    let init = container.init()?;
    sleep(SETTLED);
    let (switched, worked) = (switches(init), ticks(init));
    sleep(OBSERVED);
    Ok(Cost { wake_ups: switches(init) - switched, ticks: ticks(init) - worked })
}
