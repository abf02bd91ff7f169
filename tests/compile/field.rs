//! The bytes have one door, `expose`, which a search finds: the field is private.

use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = &secret.0;
}
