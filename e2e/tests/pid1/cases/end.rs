//! After the app's end, and before it.

use std::time::{Duration, Instant};

use crate::container::{Container, Setup, sh};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

const TERM: i32 = 15;
const LINGER: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cases!["end"; siblings_get_term, a_sibling_gets_300_ms, siblings_that_ignore_term_are_killed,
        the_whole_tree_ends, the_code_stays_the_apps, a_longer_linger_is_obeyed,
        an_app_that_ignores_term_is_left_alone, with_grace_an_app_that_ignores_term_is_killed];
    let timed = cases!["end"; without_siblings_the_end_takes_less_than_100_ms,
        with_obedient_siblings_the_end_does_not_take_the_linger];
    cases.extend(timed.into_iter().map(Case::timed));
    cases
}

/// A process that says that it is up, and acts on TERM.
fn sibling(on_term: &str) -> String {
    format!("sh -c 'trap \"{on_term}\" TERM; echo up >>log; while :; do sleep 0.02; done'")
}

/// An app that ends with a code when so many siblings are up.
fn leaves(siblings: &[String], code: i32) -> String {
    let start = siblings.join(" & ") + " &";
    let count = siblings.len();
    format!(
        "touch log; {start} while [ $(grep -c up log) -lt {count} ]; do sleep 0.01; done; echo bye >>log; exit {code}"
    )
}

fn told(container: &Container) -> usize {
    container.log().iter().filter(|line| *line == "told").count()
}

/// Everything ends, after as many siblings as that have done what they do on TERM.
fn ends_told(mut container: Container, code: i32, count: usize) -> Outcome {
    container.ends_with(code)?;
    let told = told(&container);
    ensure(told == count, || format!("{told} of {count} siblings had the time to act on TERM"))
}

/// The time from the app's last words to the end of PID 1.
fn end(container: &mut Container) -> Result<Duration, String> {
    container.await_line("bye")?;
    let start = Instant::now();
    container.ends_with(7)?;
    Ok(start.elapsed())
}

fn siblings_get_term(subject: &Subject) -> Outcome {
    let siblings = [sibling("echo told >>log; exit"), sibling("echo told >>log; exit")];
    ends_told(Container::start(subject, &sh(&leaves(&siblings, 7))), 7, 2)
}

fn a_sibling_gets_300_ms(subject: &Subject) -> Outcome {
    let siblings = [sibling("sleep 0.3; echo told >>log; exit")];
    ends_told(Container::start(subject, &sh(&leaves(&siblings, 7))), 7, 1)
}

/// TERM first, also to those.
fn siblings_that_ignore_term_are_killed(subject: &Subject) -> Outcome {
    let siblings = [sibling("echo told >>log"), sibling("")];
    let mut container = Container::start(subject, &sh(&leaves(&siblings, 7)));
    let took = end(&mut container)?;
    ensure(told(&container) >= 1, || "they did not get TERM".to_owned())?;
    ensure(took <= LINGER + MARGIN, || format!("the end took {took:?}"))
}

/// Also processes that have left the app's group and session.
fn the_whole_tree_ends(subject: &Subject) -> Outcome {
    let told = sibling("echo told >>log; exit");
    let siblings =
        [told.clone(), format!("setsid {told}"), format!("(setsid {told} & setsid {told} & wait)")];
    let app = leaves(&siblings, 7).replace("-lt 3", "-lt 4");
    ends_told(Container::start(subject, &sh(&app)), 7, 4)
}

fn the_code_stays_the_apps(subject: &Subject) -> Outcome {
    let siblings = [sibling("echo told >>log; exit 3"), sibling("echo told >>log; exit 4")];
    [0, 42, 143]
        .into_iter()
        .try_for_each(|code| ends_told(Container::start(subject, &sh(&leaves(&siblings, code))), code, 2))
}

fn a_longer_linger_is_obeyed(subject: &Subject) -> Outcome {
    let siblings = [sibling("sleep 1.5; echo told >>log; exit")];
    let setup = Setup::new(subject).variable("CRYOKEY_LINGER", "5s");
    ends_told(setup.start(&sh(&leaves(&siblings, 7))), 7, 1)
}

fn without_siblings_the_end_takes_less_than_100_ms(subject: &Subject) -> Outcome {
    let once = || end(&mut Container::start(subject, &sh("echo bye >log; exit 7")));
    // Other work on the machine makes some of them longer.
    let times = (0..5).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    let took = times.into_iter().min().unwrap_or_default();
    ensure(took < SOON, || format!("it took {took:?}"))
}

fn with_obedient_siblings_the_end_does_not_take_the_linger(subject: &Subject) -> Outcome {
    let siblings = [sibling("echo told >>log; exit")];
    let mut container = Container::start(subject, &sh(&leaves(&siblings, 7)));
    let took = end(&mut container)?;
    ensure(told(&container) == 1, || "it did not get TERM".to_owned())?;
    ensure(took < LINGER / 2, || format!("it took {took:?}"))
}

const DEAF: &str = "trap '' TERM; echo ready >log; while :; do sleep 0.05; done";

fn an_app_that_ignores_term_is_left_alone(subject: &Subject) -> Outcome {
    let mut container = Container::ready(subject, &sh(DEAF))?;
    container.signal(TERM)?;
    let ended = container.ends_within(LINGER * 2);
    ensure(ended.is_none(), || format!("ended with {ended:?}"))
}

fn with_grace_an_app_that_ignores_term_is_killed(subject: &Subject) -> Outcome {
    let setup = Setup::new(subject).variable("CRYOKEY_GRACE", "1s");
    let mut container = setup.start(&sh(DEAF)).when_ready()?;
    container.signal(TERM)?;
    let start = Instant::now();
    let ended = container.ends_within(GRACE + LINGER + MARGIN);
    let took = start.elapsed();
    ensure(ended == Some(137) && took >= GRACE, || format!("ended with {ended:?} after {took:?}"))
}
