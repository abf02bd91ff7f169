//! What init does next, as a pure function of its state and of what has happened. No system calls: `supervise` makes
//! the events and carries out the effects.
//!
//! `Preparing` → `Running` → `Lingering` → `Ended`, with `Cancelling` where a stop signal arrives before the app runs, or
//! the courier takes too long.
//! Times are counted from any fixed moment, by a clock that never goes back.

use std::time::Duration;

use crate::exit::Exit;

/// How long the courier may take to end once it has been told to.
const COURIER_GRACE: Duration = Duration::from_millis(100);

/// How long killed processes may take to end. One that sleeps in the kernel ignores even KILL; it ends with the
/// container.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How the app is signalled and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub forward: Forward,
    /// How long after the first TERM the app is killed; `None`: never.
    pub grace: Option<Duration>,
    /// How long what the app leaves behind may take to end.
    pub linger: Duration,
}

/// Who gets the signals that init gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// The app's process.
    App,
    /// Every process of the app's group.
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The courier collects the secrets, until this moment if it has set itself a limit.
    Preparing { until: Option<Duration> },
    /// The courier is to end.
    Cancelling { why: Cancelled, kill_at: Option<Duration>, give_up_at: Duration },
    /// The app runs.
    Running { policy: Policy, kill_at: Option<Duration> },
    /// The app has ended, and what it left behind is to end.
    Lingering { exit: Exit, kill_at: Option<Duration>, give_up_at: Duration },
    /// Nothing is left to do.
    Ended(End),
}

/// How it all ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    App(Exit),
    NotStarted,
    /// The courier ended without a launch.
    NotPrepared(Exit),
    Cancelled(Cancelled),
}

/// Why there is no app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// A stop signal arrived.
    Signal(u8),
    /// The courier has exceeded its limit.
    TooLate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// While preparing: a stop signal. Other signals stay pending until the app runs.
    Signal(Signal),
    /// The courier has said how long it takes at most, from now on.
    Limit(Duration),
    /// The courier has ended and has handed over a complete launch.
    Prepared(Policy),
    /// The courier has ended without one.
    NotPrepared(Exit),
    /// The app could not be started.
    NotStarted,
    AppEnded(Exit),
    /// No child is left.
    Alone,
    /// Nothing has happened but time.
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) number: u8,
    /// What the sender passed along with `sigqueue(3)`.
    pub(crate) value: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    StopCourier,
    KillCourier,
    StartApp,
    Forward(Signal, Forward),
    /// The grace has expired.
    KillApp,
    /// TERM to all that is left.
    EndRest,
    /// The linger has expired: KILL.
    KillRest,
}

const TERM: u8 = 15;

pub(crate) fn step(state: State, event: Event, now: Duration) -> (State, Option<Effect>) {
    match (state, event) {
        (State::Preparing { until }, event) => preparing(until, event, now),
        (State::Cancelling { .. }, event) => cancelling(state, event, now),
        (State::Running { policy, kill_at }, event) => running(policy, kill_at, event, now),
        (State::Lingering { .. }, event) => lingering(state, event, now),
        (State::Ended(_), _) => (state, None),
    }
}

/// When `Event::Time` is due, if nothing else happens before.
pub(crate) fn due(state: State) -> Option<Duration> {
    match state {
        State::Preparing { until } => until,
        State::Running { kill_at, .. } => kill_at,
        State::Cancelling { kill_at, give_up_at, .. } | State::Lingering { kill_at, give_up_at, .. } => {
            kill_at.or(Some(give_up_at))
        }
        State::Ended(_) => None,
    }
}

fn preparing(until: Option<Duration>, event: Event, now: Duration) -> (State, Option<Effect>) {
    match event {
        Event::Signal(signal) => cancelled(Cancelled::Signal(signal.number), now),
        Event::Limit(limit) => (State::Preparing { until: Some(now.saturating_add(limit)) }, None),
        Event::Time if is_over(until, now) => cancelled(Cancelled::TooLate, now),
        Event::Prepared(policy) => (State::Running { policy, kill_at: None }, Some(Effect::StartApp)),
        Event::NotPrepared(exit) => (State::Ended(End::NotPrepared(exit)), None),
        _ => (State::Preparing { until }, None),
    }
}

fn cancelled(why: Cancelled, now: Duration) -> (State, Option<Effect>) {
    let kill_at = now + COURIER_GRACE;
    let give_up_at = kill_at + KILL_GRACE;
    (State::Cancelling { why, kill_at: Some(kill_at), give_up_at }, Some(Effect::StopCourier))
}

fn cancelling(state: State, event: Event, now: Duration) -> (State, Option<Effect>) {
    let State::Cancelling { why, kill_at, give_up_at } = state else { return (state, None) };
    match event {
        // What it may have prepared is not used any more.
        Event::Prepared(_) | Event::NotPrepared(_) => (State::Ended(End::Cancelled(why)), None),
        Event::Time if now >= give_up_at => (State::Ended(End::Cancelled(why)), None),
        Event::Time if is_over(kill_at, now) => {
            (State::Cancelling { why, kill_at: None, give_up_at }, Some(Effect::KillCourier))
        }
        _ => (state, None),
    }
}

fn running(
    policy: Policy,
    kill_at: Option<Duration>,
    event: Event,
    now: Duration,
) -> (State, Option<Effect>) {
    match event {
        Event::Signal(signal) => {
            let grace = policy.grace.filter(|_| signal.number == TERM);
            let kill_at = kill_at.or(grace.map(|grace| now + grace));
            (State::Running { policy, kill_at }, Some(Effect::Forward(signal, policy.forward)))
        }
        Event::Time if is_over(kill_at, now) => {
            // Once: a second TERM does not begin another grace.
            (
                State::Running { policy: Policy { grace: None, ..policy }, kill_at: None },
                Some(Effect::KillApp),
            )
        }
        Event::AppEnded(exit) => {
            let kill_at = now + policy.linger;
            let give_up_at = kill_at + KILL_GRACE;
            (State::Lingering { exit, kill_at: Some(kill_at), give_up_at }, Some(Effect::EndRest))
        }
        Event::NotStarted => (State::Ended(End::NotStarted), None),
        _ => (State::Running { policy, kill_at }, None),
    }
}

/// Signals are not forwarded any more: another process may have got the app's number.
fn lingering(state: State, event: Event, now: Duration) -> (State, Option<Effect>) {
    let State::Lingering { exit, kill_at, give_up_at } = state else { return (state, None) };
    match event {
        Event::Alone => (State::Ended(End::App(exit)), None),
        Event::Time if now >= give_up_at => (State::Ended(End::App(exit)), None),
        Event::Time if is_over(kill_at, now) => {
            (State::Lingering { exit, kill_at: None, give_up_at }, Some(Effect::KillRest))
        }
        _ => (state, None),
    }
}

fn is_over(moment: Option<Duration>, now: Duration) -> bool {
    moment.is_some_and(|moment| now >= moment)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::{collection, option};

    use super::*;

    const POLICIES: [Policy; 4] = [
        Policy { forward: Forward::App, grace: None, linger: Duration::from_secs(1) },
        Policy { forward: Forward::Group, grace: None, linger: Duration::ZERO },
        Policy { forward: Forward::App, grace: Some(Duration::from_secs(2)), linger: Duration::from_secs(1) },
        Policy { forward: Forward::Group, grace: Some(Duration::ZERO), linger: Duration::from_secs(1) },
    ];

    const PREPARING: State = State::Preparing { until: None };

    fn signal(number: u8) -> Event {
        Event::Signal(Signal { number, value: None })
    }

    fn events() -> Vec<Event> {
        let mut events = vec![
            signal(TERM),
            signal(2),
            signal(10),
            Event::Limit(Duration::from_secs(1)),
            Event::NotPrepared(Exit::Code(78)),
            Event::NotPrepared(Exit::Signal(9)),
            Event::NotStarted,
            Event::AppEnded(Exit::Code(7)),
            Event::Alone,
            Event::Time,
        ];
        events.extend(POLICIES.map(Event::Prepared));
        events
    }

    /// What has been seen on the way to a state.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
    struct Seen {
        started: u8,
        app_has_ended: bool,
        first_term: Option<Duration>,
        grace: Option<Duration>,
        forward: Option<Forward>,
        killed_app: u8,
        killed_rest: u8,
    }

    /// Follows every sequence of events and of waits of this length, and checks each step.
    fn follow(state: State, seen: &Seen, now: Duration, depth: u8) -> u64 {
        if depth == 0 {
            return 1;
        }
        let mut paths = 0;
        for event in events() {
            for wait in [0, 1_100] {
                let now = now + Duration::from_millis(wait);
                let (next, effect) = step(state, event, now);
                let seen = checked(state, event, next, effect, seen.clone(), now);
                paths += follow(next, &seen, now, depth - 1);
            }
        }
        paths
    }

    fn checked(
        state: State,
        event: Event,
        next: State,
        effect: Option<Effect>,
        mut seen: Seen,
        now: Duration,
    ) -> Seen {
        let context = format!("{state:?} {event:?} at {now:?} -> {next:?} {effect:?}, {seen:?}");
        if let (State::Running { .. }, Event::Signal(Signal { number: TERM, .. })) = (state, event) {
            seen.first_term = seen.first_term.or(Some(now));
        }
        match effect {
            Some(Effect::StartApp) => {
                seen.started += 1;
                let Event::Prepared(policy) = event else { panic!("{context}") };
                seen.grace = policy.grace;
                seen.forward = Some(policy.forward);
            }
            Some(Effect::Forward(forwarded, to)) => {
                assert!(seen.started == 1 && !seen.app_has_ended, "{context}");
                assert_eq!(event, Event::Signal(forwarded), "{context}");
                assert_eq!(Some(to), seen.forward, "{context}");
            }
            Some(Effect::KillApp) => {
                seen.killed_app += 1;
                let since = seen.first_term.and_then(|first| now.checked_sub(first));
                assert!(since.zip(seen.grace).is_some_and(|(since, grace)| since >= grace), "{context}");
                assert!(!seen.app_has_ended, "{context}");
            }
            Some(Effect::EndRest) => {
                assert!(matches!(event, Event::AppEnded(_)), "{context}");
                seen.app_has_ended = true;
            }
            Some(Effect::KillRest) => {
                seen.killed_rest += 1;
                assert!(seen.app_has_ended, "{context}");
            }
            Some(Effect::StopCourier | Effect::KillCourier) => assert_eq!(seen.started, 0, "{context}"),
            None => {}
        }
        assert!(seen.started <= 1 && seen.killed_app <= 1 && seen.killed_rest <= 1, "{context}");
        if let State::Ended(end) = next {
            let is_app = matches!(end, End::App(_));
            assert_eq!(is_app, seen.app_has_ended, "{context}");
            assert_eq!(due(next), None, "{context}");
        }
        if let State::Ended(_) = state {
            assert_eq!((next, effect), (state, None), "{context}");
        }
        seen
    }

    #[test]
    #[cfg_attr(miri, ignore = "millions of steps of safe code")]
    fn every_sequence_of_four_events_starts_the_app_once_and_kills_it_only_after_a_term_and_its_grace() {
        let paths = follow(PREPARING, &Seen::default(), Duration::ZERO, 4);
        assert_eq!(paths, 28_u64.pow(4));
        for policy in POLICIES {
            let seen =
                Seen { started: 1, grace: policy.grace, forward: Some(policy.forward), ..Seen::default() };
            let running = State::Running { policy, kill_at: None };
            assert_eq!(follow(running, &seen, Duration::from_hours(24), 4), 28_u64.pow(4));
        }
    }

    fn policy() -> impl Strategy<Value = Policy> {
        let time = || (0..5_000_u64).prop_map(Duration::from_millis);
        let forward = prop_oneof![Just(Forward::App), Just(Forward::Group)];
        (forward, option::of(time()), time()).prop_map(|(forward, grace, linger)| Policy {
            forward,
            grace,
            linger,
        })
    }

    fn event() -> impl Strategy<Value = Event> {
        let exit = || prop_oneof![any::<u8>().prop_map(Exit::Code), (1..=64_u8).prop_map(Exit::Signal)];
        let sent = (1..=64_u8, option::of(any::<usize>()));
        prop_oneof![
            3 => Just(signal(TERM)),
            3 => sent.prop_map(|(number, value)| Event::Signal(Signal { number, value })),
            1 => (0..5_000_u64).prop_map(|limit| Event::Limit(Duration::from_millis(limit))),
            3 => policy().prop_map(Event::Prepared),
            1 => exit().prop_map(Event::NotPrepared),
            1 => Just(Event::NotStarted),
            1 => exit().prop_map(Event::AppEnded),
            1 => Just(Event::Alone),
            9 => Just(Event::Time),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        #[cfg_attr(miri, ignore = "safe code, and slow there")]
        fn long_sequences_of_events_keep_the_same_promises(
            events in collection::vec((event(), 0..3_000_u64), 1..60),
        ) {
            let (mut state, mut seen, mut now) = (PREPARING, Seen::default(), Duration::ZERO);
            for (event, wait) in events {
                now += Duration::from_millis(wait);
                let (next, effect) = step(state, event, now);
                seen = checked(state, event, next, effect, seen, now);
                state = next;
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "safe code, and slow there")]
        fn who_has_been_told_to_end_has_ended_once_all_times_are_over(
            events in collection::vec((event(), 0..3_000_u64), 1..60),
        ) {
            let (mut state, mut now) = (PREPARING, Duration::ZERO);
            for (event, wait) in events {
                now += Duration::from_millis(wait);
                state = step(state, event, now).0;
            }
            let is_ending = matches!(state, State::Cancelling { .. } | State::Lingering { .. });
            // Told twice: that KILL is due, and that nothing more is awaited.
            for _ in 0..2 {
                now = due(state).unwrap_or(now);
                state = step(state, Event::Time, now).0;
            }
            prop_assert!(!is_ending || matches!(state, State::Ended(_)), "{state:?}");
        }
    }

    /// Runs a script of events, each this many milliseconds after the one before.
    fn run(script: &[(u64, Event)]) -> (State, Vec<Effect>) {
        let (mut state, mut now, mut effects) = (PREPARING, Duration::ZERO, Vec::new());
        for (wait, event) in script {
            now += Duration::from_millis(*wait);
            let (next, effect) = step(state, *event, now);
            state = next;
            effects.extend(effect);
        }
        (state, effects)
    }

    #[test]
    fn a_stop_signal_before_the_app_runs_ends_the_courier_and_names_the_signal() {
        let (state, effects) = run(&[(0, signal(2)), (50, signal(TERM)), (10, Event::Prepared(POLICIES[0]))]);
        assert_eq!(state, State::Ended(End::Cancelled(Cancelled::Signal(2))));
        assert_eq!(effects, [Effect::StopCourier]);
        let (state, effects) = run(&[(0, signal(TERM)), (99, Event::Time), (1, Event::Time)]);
        let give_up_at = COURIER_GRACE + KILL_GRACE;
        let why = Cancelled::Signal(TERM);
        assert_eq!(state, State::Cancelling { why, kill_at: None, give_up_at });
        assert_eq!(effects, [Effect::StopCourier, Effect::KillCourier]);
        let hangs = [(0, signal(TERM)), (100, Event::Time), (999, Event::Time), (1, Event::Time)];
        assert_eq!(run(&hangs).0, State::Ended(End::Cancelled(why)));
    }

    #[test]
    fn a_courier_that_exceeds_its_limit_is_ended_and_what_it_prepares_after_all_is_not_used() {
        let limit = Event::Limit(Duration::from_secs(1));
        let in_time = [(0, limit), (999, Event::Time), (0, Event::Prepared(POLICIES[0]))];
        assert_eq!(run(&in_time).1, [Effect::StartApp]);
        let again = [(0, limit), (900, limit), (900, Event::Time)];
        assert_eq!(run(&again).1, []);
        let late = [(0, limit), (1_000, Event::Time), (0, signal(TERM)), (99, Event::Prepared(POLICIES[0]))];
        let end = State::Ended(End::Cancelled(Cancelled::TooLate));
        assert_eq!(run(&late), (end, vec![Effect::StopCourier]));
    }

    #[test]
    fn without_a_launch_or_without_a_start_there_is_only_the_end() {
        let not_prepared = run(&[(0, Event::NotPrepared(Exit::Code(78)))]);
        assert_eq!(not_prepared, (State::Ended(End::NotPrepared(Exit::Code(78))), vec![]));
        let not_started = run(&[(0, Event::Prepared(POLICIES[0])), (0, Event::NotStarted)]);
        assert_eq!(not_started, (State::Ended(End::NotStarted), vec![Effect::StartApp]));
    }

    #[test]
    fn g07_an_app_that_ignores_term_is_killed_only_where_a_grace_is_set() {
        let without = [(0, Event::Prepared(POLICIES[0])), (0, signal(TERM)), (1_000_000, Event::Time)];
        assert_eq!(
            run(&without).1.last(),
            Some(&Effect::Forward(Signal { number: TERM, value: None }, Forward::App))
        );
        let with = [
            (0, Event::Prepared(POLICIES[2])),
            (0, signal(2)),
            (0, signal(TERM)),
            (1_500, signal(TERM)),
            (500, Event::Time),
            (0, signal(TERM)),
            (5_000, Event::Time),
        ];
        let (state, effects) = run(&with);
        assert_eq!(effects.iter().filter(|effect| **effect == Effect::KillApp).count(), 1);
        assert_eq!(effects.len(), 6, "{effects:?}");
        assert_eq!(due(state), None);
    }

    #[test]
    fn g08_what_the_app_leaves_behind_has_the_linger_to_end_and_the_code_stays_the_apps() {
        let ends = [
            (0, Event::Prepared(POLICIES[0])),
            (0, Event::AppEnded(Exit::Signal(11))),
            (0, signal(TERM)),
            (300, Event::Alone),
        ];
        assert_eq!(
            run(&ends),
            (State::Ended(End::App(Exit::Signal(11))), vec![Effect::StartApp, Effect::EndRest])
        );
        let stays = [
            (0, Event::Prepared(POLICIES[0])),
            (0, Event::AppEnded(Exit::Code(0))),
            (999, Event::Time),
            (1, Event::Time),
            (999, Event::Time),
            (1, Event::Time),
        ];
        let (state, effects) = run(&stays);
        assert_eq!(state, State::Ended(End::App(Exit::Code(0))));
        assert_eq!(effects, [Effect::StartApp, Effect::EndRest, Effect::KillRest]);
    }

    #[test]
    fn h12_days_and_years_of_running_change_nothing() {
        let years = u64::from(u32::MAX) * 1_000;
        let script = [
            (0, Event::Prepared(POLICIES[2])),
            (years, Event::Time),
            (years, signal(TERM)),
            (1_999, Event::Time),
        ];
        let (state, effects) = run(&script);
        assert_eq!(effects.len(), 2);
        assert_eq!(due(state), Some(Duration::from_millis(2 * years + 2_000)));
    }
}
