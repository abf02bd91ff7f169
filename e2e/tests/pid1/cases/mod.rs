//! The cases, a file for each group of them.

pub(crate) mod early;
mod end;
mod exec;
mod exit;
mod forward;
pub(crate) mod idle;
mod inherit;
mod reap;
mod resource;
mod stop;
mod tty;

use crate::suite::Case;

pub(crate) fn all() -> Vec<Case> {
    let groups = [forward::cases, exit::cases, exec::cases, reap::cases, stop::cases, inherit::cases];
    let rest = [end::cases, tty::cases, resource::cases];
    groups.iter().chain(&rest).flat_map(|cases| cases()).collect()
}
