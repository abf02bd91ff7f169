//! A value cannot get into a provider's error: it is made of a place and a cause, which is no value.

use cryokey::provider::ProviderError;
use cryokey::secret::Secret;

fn main() {
    let secret = Secret::new(b"value".to_vec());
    let _ = ProviderError::new("place", secret);
}
