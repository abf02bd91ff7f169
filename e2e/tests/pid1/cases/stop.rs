//! An app that is stopped.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::container::{Container, PATIENCE, sh};
use crate::process::{state, until};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases};

const TERM: i32 = 15;
const CONT: i32 = 18;
const TSTP: i32 = 20;
const A_MOMENT: Duration = Duration::from_millis(300);

pub(super) fn cases() -> Vec<Case> {
    cases!["stop"; g03_a_stopped_app_does_not_end_the_init, g03_tstp_stops_and_cont_continues,
        term_acts_when_a_stopped_app_continues]
}

fn asleep(subject: &Subject) -> Result<Container, String> {
    Container::ready(subject, &sh("echo ready >log; exec sleep 300"))
}

fn app_is(container: &Container, expected: char) -> Outcome {
    let app = container.app()?;
    let is_so = || (state(app) == Some(expected)).then_some(());
    until(PATIENCE / 5, is_so).ok_or_else(|| format!("the app's state is {:?}, not {expected}", state(app)))
}

fn lives_on(container: &mut Container) -> Outcome {
    container.ends_within(A_MOMENT).map_or(Ok(()), |code| Err(format!("PID 1 ended with {code}")))
}

fn stopped(subject: &Subject) -> Result<Container, String> {
    let container = asleep(subject)?;
    kill_process(container.app()?, Signal::STOP).map_err(|error| error.to_string())?;
    app_is(&container, 'T')?;
    Ok(container)
}

fn g03_a_stopped_app_does_not_end_the_init(subject: &Subject) -> Outcome {
    let mut container = stopped(subject)?;
    lives_on(&mut container)?;
    container.signal(CONT)?;
    app_is(&container, 'S')?;
    lives_on(&mut container)
}

fn g03_tstp_stops_and_cont_continues(subject: &Subject) -> Outcome {
    let mut container = asleep(subject)?;
    container.signal(TSTP)?;
    app_is(&container, 'T')?;
    lives_on(&mut container)?;
    container.signal(CONT)?;
    app_is(&container, 'S')
}

fn term_acts_when_a_stopped_app_continues(subject: &Subject) -> Outcome {
    let mut container = stopped(subject)?;
    container.signal(TERM)?;
    lives_on(&mut container)?;
    container.signal(CONT)?;
    container.ends_with(128 + TERM)
}
