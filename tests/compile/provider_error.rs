//! A value cannot get into a provider's error: it is made of kinds, a place and numbers.

use cryokey::provider::ProviderError;
use cryokey::provider::error::{Cause, Kind};
use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = ProviderError { kind: Kind::Invalid, place: secret, cause: Cause::TooLarge };
}
