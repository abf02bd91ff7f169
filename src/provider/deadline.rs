//! When everything before the app must be done.

use std::time::{Duration, Instant};

/// Enough for a result to pass from one thread to another on a machine that has other things to do.
const GRACE: Duration = Duration::from_millis(100);

/// The moment at which everything before the app must be done.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment after a span of time. One too long for the clock never comes.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now().checked_add(span))
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// A little later: for who waits for others that end at the deadline by themselves, and wants to hear why.
    #[must_use]
    pub fn with_grace(self) -> Self {
        Self(self.0.and_then(|moment| moment.checked_add(GRACE)))
    }

    /// The time left; zero once it is over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.map_or(Duration::MAX, |moment| moment.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_shrinks_to_zero_and_not_below() {
        let deadline = Deadline::after(Duration::from_mins(1));
        assert!(!deadline.has_passed() && deadline.remaining() > Duration::from_secs(59));
        let over = Deadline::after(Duration::ZERO);
        assert!(over.has_passed() && over.remaining().is_zero());
    }

    #[test]
    fn a_span_too_long_for_the_clock_never_ends() {
        assert_eq!(Deadline::after(Duration::MAX).remaining(), Duration::MAX);
    }
}
