//! A value cannot get into a report: `Secret` has no `Serialize`.

use cryokey::secret::Secret;

fn reported<T: serde::Serialize>(_: &T) {}

fn main() {
    reported(&Secret::new(b"value".to_vec()));
}
