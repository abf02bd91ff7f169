//! A secret does not pass for its bytes where bytes are asked for.

use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _: &[u8] = &secret;
}
