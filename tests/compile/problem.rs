//! A value cannot get into what is reported: a problem is made of texts.

use cryokey::error::{Exit, Problem};
use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = Problem { exit: Exit::Value, names: Vec::new(), reason: "x", what: secret, fix: String::new() };
}
