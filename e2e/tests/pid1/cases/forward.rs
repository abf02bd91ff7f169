//! Signals that are sent to PID 1 from outside.

use std::time::Duration;

use crate::cases::early;
use crate::container::{Container, PATIENCE, python};
use crate::process::{python as interpreter, until};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

const CATCHABLE: [(&str, i32); 18] = [
    ("hup", 1),
    ("int", 2),
    ("quit", 3),
    ("usr1", 10),
    ("usr2", 12),
    ("pipe", 13),
    ("alrm", 14),
    ("term", 15),
    ("stkflt", 16),
    ("cont", 18),
    ("urg", 23),
    ("xcpu", 24),
    ("xfsz", 25),
    ("vtalrm", 26),
    ("prof", 27),
    ("winch", 28),
    ("io", 29),
    ("pwr", 30),
];
const FAULTS: [(&str, i32); 7] =
    [("ill", 4), ("trap", 5), ("abrt", 6), ("bus", 7), ("fpe", 8), ("segv", 11), ("sys", 31)];
const TERMINAL: [(&str, i32); 3] = [("tstp", 20), ("ttin", 21), ("ttou", 22)];
const REAL_TIME: [i32; 5] = [34, 35, 50, 63, 64];

const USR1: i32 = 10;
const CHLD: i32 = 17;

/// A second one, or another one, would be there by then.
const ECHO: Duration = Duration::from_millis(30);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = arrive("forward", &CATCHABLE);
    cases.extend(cases!["forward"; none_of_200_is_lost, chld_from_outside_stays_here_and_does_no_harm]);
    cases.extend(
        cases!["forward"; early_term_is_lost_no_more_often_than_by_tini].into_iter().map(Case::timed),
    );
    cases.extend(arrive("forward-fault", &FAULTS));
    cases.extend(arrive("forward-tty", &TERMINAL));
    let real_time =
        |number| Case::new("forward-rt", format!("{number}_arrives"), move |it| queued(it, number));
    cases.extend(REAL_TIME.map(real_time));
    cases.extend(cases!["forward-rt"; fifty_of_one_number_arrive, fifty_keep_their_order_and_values]);
    cases
}

fn arrive(group: &'static str, signals: &'static [(&str, i32)]) -> Vec<Case> {
    let case = |(name, number): &(_, i32)| {
        let number = *number;
        Case::new(group, format!("{name}_arrives"), move |subject| arrives(subject, number))
    };
    signals.iter().map(case).collect()
}

/// The app gets this signal, once, and no other.
fn arrives(subject: &Subject, number: i32) -> Outcome {
    let mut container = Container::ready(subject, &python("receive"))?;
    container.signal(number)?;
    received(&container, 1)?;
    if let Some(code) = container.ends_within(ECHO) {
        return Err(format!("PID 1 ended with {code}"));
    }
    let numbers = numbers(&container);
    ensure(numbers == [number], || format!("the app got {numbers:?}"))
}

/// What the app noted of each signal: number, `si_code`, value.
fn signals(container: &Container) -> Vec<Vec<i32>> {
    let log = container.log();
    let noted = log.iter().filter(|line| *line != "ready");
    noted.map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect()).collect()
}

fn numbers(container: &Container) -> Vec<i32> {
    signals(container).iter().map(|signal| signal[0]).collect()
}

fn received(container: &Container, count: usize) -> Outcome {
    let are_there = || (signals(container).len() >= count).then_some(());
    let lost = || format!("of {count} signals the app got {:?}", numbers(container));
    until(PATIENCE / 5, are_there).ok_or_else(lost)
}

fn none_of_200_is_lost(subject: &Subject) -> Outcome {
    let container = Container::ready(subject, &python("receive"))?;
    (1..=200).try_for_each(|count| {
        container.signal(USR1)?;
        received(&container, count)
    })
}

fn chld_from_outside_stays_here_and_does_no_harm(subject: &Subject) -> Outcome {
    let container = Container::ready(subject, &python("receive"))?;
    (0..20).try_for_each(|_| container.signal(CHLD))?;
    container.signal(USR1)?;
    received(&container, 1)?;
    let numbers = numbers(&container);
    ensure(numbers == [USR1], || format!("the app got {numbers:?}"))
}

/// A few losses are the kernel's: PID 1 cannot get a signal before its first instruction that asks for it. One more than
/// by tini can be chance.
fn early_term_is_lost_no_more_often_than_by_tini(subject: &Subject) -> Outcome {
    let tini = Subject::named("tini")?;
    if *subject == tini {
        return Ok(());
    }
    let [lost, by_tini] = early::lost([subject, &tini])?;
    let counts = || format!("lost {lost} of {}, tini {by_tini}", early::TRIES);
    ensure(lost <= by_tini + 1, counts)
}

fn queue(container: &Container, number: i32, count: i32) -> Outcome {
    let command = python(&format!("queue {} {number} 1 {count}", container.init()?));
    assert_eq!(command[0], interpreter());
    let status = std::process::Command::new(&command[0]).args(&command[1..]).status();
    ensure(status.is_ok_and(|status| status.success()), || "sigqueue failed".to_owned())
}

fn queued(subject: &Subject, number: i32) -> Outcome {
    let container = Container::ready(subject, &python("receive"))?;
    queue(&container, number, 1)?;
    received(&container, 1)?;
    let numbers = numbers(&container);
    ensure(numbers == [number], || format!("the app got {numbers:?}"))
}

fn fifty(subject: &Subject) -> Result<Vec<Vec<i32>>, String> {
    let container = Container::ready(subject, &python("receive"))?;
    queue(&container, REAL_TIME[2], 50)?;
    received(&container, 50)?;
    Ok(signals(&container))
}

fn fifty_of_one_number_arrive(subject: &Subject) -> Outcome {
    let signals = fifty(subject)?;
    ensure(signals.iter().all(|signal| signal[0] == REAL_TIME[2]), || format!("the app got {signals:?}"))
}

fn fifty_keep_their_order_and_values(subject: &Subject) -> Outcome {
    let values = fifty(subject)?.iter().map(|signal| signal[2]).collect::<Vec<_>>();
    ensure(values == (1..=50).collect::<Vec<_>>(), || format!("the values are {values:?}"))
}
