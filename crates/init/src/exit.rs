//! How a process ended.

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    /// Killed by this signal.
    Signal(u8),
}

impl Exit {
    /// The code that tells a caller about it: a signal is 128 plus its number, as in shells.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}
