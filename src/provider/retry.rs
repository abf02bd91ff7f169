//! The one layer that tries again. Only temporary failures are retried, and until the budget ends.

use std::thread;
use std::time::Duration;

use super::{Cause, Deadline, Kind};

/// What the layer has to know about an error.
pub trait Retryable {
    /// What kind of temporary failure this is; `None` ends the tries at once.
    fn temporary(&self) -> Option<Temporary>;
}

/// A failure that another try may not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporary {
    /// Something broke on the way, or is not up yet: soon again.
    Failure,
    /// The server asks for fewer requests.
    Throttled {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

/// How long the waits are: a random part of a limit that doubles from `first` to `longest`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The limit of the first wait.
    pub first: Duration,
    /// The limit of all later ones.
    pub longest: Duration,
}

/// How long to wait, by kind of failure.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// After a failure.
    pub failure: Backoff,
    /// After the server asked for fewer requests; with a `Retry-After`, what is added to it.
    pub throttled: Backoff,
    /// The time that is kept for the last try: no wait is longer than what is left without it.
    pub last_try: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failure: Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
            throttled: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(16) },
            last_try: Duration::from_millis(500),
        }
    }
}

/// Tries until it succeeds, fails for good, or the budget is over; then the last error comes back.
pub fn retry<T, E: Retryable>(
    deadline: Deadline,
    policy: &Policy,
    attempt: impl FnMut(u32) -> Result<T, E>,
) -> Result<T, E> {
    retry_by(&mut SystemClock(deadline), policy, attempt)
}

/// The same, by the usual policy. That the last try had too little time says less than why the tries before it failed,
/// so that is told.
pub fn persist<T, E: Retryable + Cause + Clone>(
    deadline: Deadline,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut earlier = None;
    retry(deadline, &Policy::default(), |_| {
        attempt().map_err(|error| {
            if error.kind() != Kind::TimedOut {
                earlier = Some(error.clone());
            }
            earlier.clone().unwrap_or(error)
        })
    })
}

/// Time and chance, which tests decide themselves.
trait Clock {
    /// What is left of the budget.
    fn remaining(&self) -> Duration;
    fn sleep(&mut self, span: Duration);
    /// A number from 0 to 1.
    fn random(&mut self) -> f64;
}

struct SystemClock(Deadline);

impl Clock for SystemClock {
    fn remaining(&self) -> Duration {
        self.0.remaining()
    }

    fn sleep(&mut self, span: Duration) {
        thread::sleep(span);
    }

    fn random(&mut self) -> f64 {
        let mut bytes = [0; 4];
        // Without entropy from the kernel all wait the full time: late, and right.
        match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
            Ok(4) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
            _ => 1.0,
        }
    }
}

fn retry_by<T, E: Retryable>(
    clock: &mut impl Clock,
    policy: &Policy,
    mut attempt: impl FnMut(u32) -> Result<T, E>,
) -> Result<T, E> {
    let mut count = 1;
    loop {
        let error = match attempt(count) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(temporary) = error.temporary() else { return Err(error) };
        let wait = policy.wait(temporary, count, clock.random());
        clock.sleep(policy.cut(wait, clock.remaining()));
        if clock.remaining().is_zero() {
            return Err(error);
        }
        count = count.saturating_add(1);
    }
}

impl Policy {
    fn wait(&self, temporary: Temporary, count: u32, random: f64) -> Duration {
        match temporary {
            Temporary::Failure => self.failure.limit(count).mul_f64(random),
            Temporary::Throttled { retry_after } => {
                retry_after.unwrap_or_default().saturating_add(self.throttled.limit(count).mul_f64(random))
            }
        }
    }

    /// Cut so that one more try has its time, and to what is left once even that is not there.
    fn cut(&self, wait: Duration, remaining: Duration) -> Duration {
        let room = remaining.saturating_sub(self.last_try);
        wait.min(if room.is_zero() { remaining } else { room })
    }
}

impl Backoff {
    fn limit(&self, count: u32) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Clone, Copy)]
    struct Failed(Option<Temporary>, u32);

    impl Retryable for Failed {
        fn temporary(&self) -> Option<Temporary> {
            self.0
        }
    }

    /// Time passes only by sleeping; an attempt takes 10 ms.
    struct Fake {
        left: Duration,
        random: f64,
        slept: Vec<Duration>,
    }

    impl Clock for Fake {
        fn remaining(&self) -> Duration {
            self.left
        }
        fn sleep(&mut self, span: Duration) {
            self.slept.push(span);
            self.left = self.left.saturating_sub(span + Duration::from_millis(10));
        }
        fn random(&mut self) -> f64 {
            self.random
        }
    }

    const FAILURE: Option<Temporary> = Some(Temporary::Failure);

    fn throttled(seconds: u64) -> Temporary {
        Temporary::Throttled { retry_after: Some(Duration::from_secs(seconds)) }
    }

    fn run(budget: u64, random: f64, outcome: impl Fn(u32) -> Option<Temporary>) -> (Failed, Vec<Duration>) {
        let mut clock = Fake { left: Duration::from_secs(budget), random, slept: Vec::new() };
        let last =
            retry_by(&mut clock, &Policy::default(), |count| Err::<(), _>(Failed(outcome(count), count)));
        (last.unwrap_err(), clock.slept)
    }

    #[test]
    fn waits_double_up_to_one_second() {
        let (_, slept) = run(30, 1.0, |_| FAILURE);
        let millis: Vec<u128> = slept.iter().take(7).map(Duration::as_millis).collect();
        assert_eq!(millis, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn the_whole_wait_is_random() {
        let (_, slept) = run(30, 0.5, |_| FAILURE);
        assert_eq!(slept[0], Duration::from_millis(25));
    }

    #[test]
    fn nothing_gives_up_before_the_budget_ends_and_the_last_error_comes_back() {
        let (last, slept) = run(30, 1.0, |_| FAILURE);
        let total: Duration = slept.iter().sum();
        assert!(total > Duration::from_secs(29), "{total:?}");
        assert_eq!(last.1 as usize, slept.len());
    }

    #[test]
    fn d07_a_retry_after_is_waited_for_with_jitter() {
        let (_, slept) = run(30, 1.0, |count| (count == 1).then(|| throttled(2)));
        assert_eq!(slept, [Duration::from_secs(3)]);
    }

    #[test]
    fn d08_a_retry_after_beyond_the_budget_leaves_time_for_a_last_try() {
        let (last, slept) = run(30, 1.0, |_| Some(throttled(86_400)));
        assert_eq!(slept[0], Duration::from_millis(29_500));
        assert_eq!(last.1, 2, "one try after the wait, then the budget is over");
    }

    #[test]
    fn an_endless_retry_after_does_not_overflow() {
        let (last, _) = run(30, 1.0, |_| Some(throttled(u64::MAX)));
        assert_eq!(last.1, 2);
    }

    #[test]
    fn what_is_not_temporary_ends_at_once() {
        let (last, slept) = run(30, 1.0, |_| None);
        assert_eq!((last.1, slept.len()), (1, 0));
    }

    #[test]
    fn a_try_that_succeeds_ends_it() {
        let mut clock = Fake { left: Duration::from_secs(30), random: 0.0, slept: Vec::new() };
        let outcome = retry_by(&mut clock, &Policy::default(), |count| {
            if count < 3 { Err(Failed(FAILURE, count)) } else { Ok(count) }
        });
        assert_eq!(outcome, Ok(3));
    }

    #[test]
    fn the_system_clock_gives_different_numbers_from_zero_to_one() {
        let mut clock = SystemClock(Deadline::after(Duration::from_secs(1)));
        let numbers: Vec<f64> = (0..32).map(|_| clock.random()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)), "{numbers:?}");
        assert!(numbers.windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()));
    }

    #[test]
    fn a_budget_that_is_over_allows_one_try() {
        let outcome = retry(Deadline::after(Duration::ZERO), &Policy::default(), |count| {
            Err::<(), _>(Failed(FAILURE, count))
        });
        assert_eq!(outcome.unwrap_err().1, 1);
    }
}
