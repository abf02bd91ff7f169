//! Checks that are short here and long in `cargo xtask verify`, which sets `CRYOKEY_VERIFY=1`.

mod kill;
mod soak;
mod swap;

fn is_long() -> bool {
    std::env::var_os("CRYOKEY_VERIFY").is_some_and(|value| value == "1")
}

pub(crate) fn times(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}
