//! A value cannot be put into a message: `Secret` has no `Display`.

use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = format!("{}", secret);
}
