//! Orphans: whoever is PID 1 is their parent.

use std::time::{Duration, Instant};

use crate::cases::idle;
use crate::container::{Container, PATIENCE, python};
use crate::process::{children, name, until};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

const USR1: i32 = 10;
const SOON: Duration = Duration::from_millis(100);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cases!["reap"; an_orphan_is_reaped, g09_a_thousand_orphans_are_reaped,
        g09_the_status_is_not_lost_among_orphans];
    cases.extend(
        cases!["reap"; an_idle_init_does_not_wake_up, h14_a_signal_arrives_while_orphans_end]
            .into_iter()
            .map(Case::timed),
    );
    cases
}

fn an_orphan_is_reaped(subject: &Subject) -> Outcome {
    are_reaped(subject, 1)
}

fn g09_a_thousand_orphans_are_reaped(subject: &Subject) -> Outcome {
    are_reaped(subject, 1000)
}

fn are_reaped(subject: &Subject, count: usize) -> Outcome {
    let container = Container::ready(subject, &python(&format!("orphans {count}")))?;
    let init = container.init()?;
    let left = || children(init).into_iter().filter(|child| name(*child) == "orphan").count();
    let none_is_left = || (left() == 0).then_some(());
    until(PATIENCE / 4, none_is_left).ok_or_else(|| format!("{} are left", left()))
}

fn g09_the_status_is_not_lost_among_orphans(subject: &Subject) -> Outcome {
    (0..10).try_for_each(|_| Container::start(subject, &python("leave 100 42")).ends_with(42))
}

fn an_idle_init_does_not_wake_up(subject: &Subject) -> Outcome {
    let cost = idle::cost(subject)?;
    let text = || format!("{} wake-ups and {} ticks in {:?}", cost.wake_ups, cost.ticks, idle::OBSERVED);
    ensure(cost.wake_ups == 0 && cost.ticks == 0, text)
}

fn h14_a_signal_arrives_while_orphans_end(subject: &Subject) -> Outcome {
    let container = Container::ready(subject, &python("storm"))?;
    let time = |count| {
        let sent = Instant::now();
        container.signal(USR1)?;
        let has_arrived = || (container.log().len() > count).then_some(());
        until(PATIENCE / 5, has_arrived).ok_or("lost")?;
        Ok(sent.elapsed())
    };
    let mut times = (1..=10).map(time).collect::<Result<Vec<_>, String>>()?;
    // Other work on the machine makes some of them longer.
    times.sort_unstable();
    ensure(times[5] <= SOON, || format!("it took {times:?}"))
}
