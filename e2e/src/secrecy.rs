//! Values that must not be seen, and the search for them.

use crate::leak::{self, Canaries};

/// A value that looks like nothing else.
pub fn canary() -> String {
    leak::canary()
}

/// A canary that is a URL.
pub fn canary_url() -> String {
    leak::canary_url()
}

/// Panics where a value, in any encoding, or a part of one is in the text.
#[track_caller]
pub fn tells_no_value(what: &str, text: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut canaries = Canaries::default();
    for value in values {
        canaries.watch_any(value.as_ref().as_bytes());
    }
    if let Some(encoding) = canaries.find(text.as_bytes()) {
        panic!("{what} tells a value ({encoding})");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_value_passes() {
        tells_no_value("the log", "SUPABASE_KEY arrived", [canary(), canary_url()]);
    }

    #[test]
    #[should_panic(expected = "the log tells a value")]
    fn a_part_of_a_short_value_is_found() {
        tells_no_value("the log", "the key is xbcdefghix", ["abcdefghij"]);
    }
}
