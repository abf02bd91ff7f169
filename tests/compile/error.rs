//! A value is no error, so nothing can carry it up as the cause of one.

use cryokey::secret::Secret;

fn carried<E: std::error::Error>(_: E) {}

fn main() {
    carried(Secret::new(b"value".to_vec()));
}
