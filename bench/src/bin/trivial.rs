//! The app: ends at once. Without Rust's own start-up, so that it adds as little as possible to what is measured.

#![no_main]

/// What the C library calls.
// SAFETY: the one `main` of this program, with the C library's calling convention; it takes no arguments, which that
// convention allows.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    0
}
