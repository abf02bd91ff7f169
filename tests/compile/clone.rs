//! A value cannot be doubled: each copy would be one more place to wipe.

use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = secret.clone();
}
