//! A value cannot get into what is reported: a problem is made of texts.

use cryokey::error::{Problem, Reason};
use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = Problem { reason: Reason::Format, names: Vec::new(), what: secret, fix: String::new() };
}
