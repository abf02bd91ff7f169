//! A value cannot become a `String`, which nobody would wipe.

use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = secret.to_string();
}
