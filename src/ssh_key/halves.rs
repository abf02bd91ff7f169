//! Public halves from private ones, so that a damaged key is noticed here and not by a server.
//!
//! The arithmetic is that of the TLS stack. It holds a key only as long as one of these functions runs.

use rustls::crypto::aws_lc_rs::sign;
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::{NotAKey, der};

pub(super) const ED25519: &[u8] = b"ssh-ed25519";

/// The lengths of an RSA modulus, in bits, that ssh reads.
const RSA_BITS: std::ops::RangeInclusive<usize> = 1_024..=16_384;

/// A curve that ssh knows (RFC 5656, 10.1).
pub(super) struct Curve {
    pub(super) algorithm: &'static [u8],
    pub(super) name: &'static [u8],
    object: &'static [u8],
    /// Bytes of a scalar, and of each coordinate.
    size: usize,
}

pub(super) static P256: Curve = Curve {
    algorithm: b"ecdsa-sha2-nistp256",
    name: b"nistp256",
    object: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    size: 32,
};
static P384: Curve = Curve {
    algorithm: b"ecdsa-sha2-nistp384",
    name: b"nistp384",
    object: &[0x2b, 0x81, 0x04, 0x00, 0x22],
    size: 48,
};
static P521: Curve = Curve {
    algorithm: b"ecdsa-sha2-nistp521",
    name: b"nistp521",
    object: &[0x2b, 0x81, 0x04, 0x00, 0x23],
    size: 66,
};
static CURVES: [&Curve; 3] = [&P256, &P384, &P521];

impl Curve {
    pub(super) fn of_algorithm(algorithm: &[u8]) -> Option<&'static Self> {
        CURVES.into_iter().find(|curve| curve.algorithm == algorithm)
    }

    pub(super) fn of_object(object: &[u8]) -> Option<&'static Self> {
        CURVES.into_iter().find(|curve| curve.object == object)
    }

    /// Whether it looks like a point that is written in full (SEC 1, 2.3.3).
    pub(super) fn has_form(&self, point: &[u8]) -> bool {
        point.len() == 1 + 2 * self.size && point.first() == Some(&4)
    }

    /// The public point of a scalar, which may have lost its leading zeros.
    pub(super) fn point_of_scalar(&self, scalar: &[u8]) -> Option<Vec<u8>> {
        let zeros = vec![0; self.size.checked_sub(scalar.len())?];
        let version = der::element(der::INTEGER, &[&[1]]);
        let scalar = der::element(der::OCTET_STRING, &[&zeros, scalar]);
        let curve = der::element(der::CURVE, &[&der::element(der::OBJECT, &[self.object])]);
        let key = der::element(der::SEQUENCE, &[&version, &scalar, &curve]);
        of_sec1(&key).map(|(_, point)| point)
    }
}

/// Curve and public point of an ECDSA key; `None` too where its own public point is another.
pub(super) fn of_sec1(bytes: &[u8]) -> Option<(&'static Curve, Vec<u8>)> {
    ecdsa(&PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(bytes)))
}

pub(super) fn of_pkcs8_ec(bytes: &[u8]) -> Option<(&'static Curve, Vec<u8>)> {
    ecdsa(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bytes)))
}

/// The public half of a seed.
pub(super) fn ed25519(seed: &[u8]) -> Option<Vec<u8>> {
    let algorithm = der::element(der::SEQUENCE, &[&der::element(der::OBJECT, &[&[0x2b, 0x65, 0x70]])]);
    let seed = der::element(der::OCTET_STRING, &[&der::element(der::OCTET_STRING, &[seed])]);
    let version = der::element(der::INTEGER, &[&[0]]);
    let key = der::element(der::SEQUENCE, &[&version, &algorithm, &seed]);
    let key = sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(key.as_slice())).ok()?;
    public(&*key)
}

/// Whether ssh reads an RSA key with this modulus and exponent; both are without leading zeros.
pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<(), NotAKey> {
    let zeros = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = n.len() * 8 - zeros;
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    match is_odd(n) && is_odd(e) && bits <= *RSA_BITS.end() {
        false => Err(NotAKey::Damaged),
        true if bits < *RSA_BITS.start() => Err(NotAKey::Short),
        true => Ok(()),
    }
}

fn ecdsa(key: &PrivateKeyDer<'_>) -> Option<(&'static Curve, Vec<u8>)> {
    let key = sign::any_ecdsa_type(key).ok()?;
    let point = public(&*key)?;
    CURVES.into_iter().find(|curve| curve.has_form(&point)).map(|curve| (curve, point))
}

fn public(key: &dyn SigningKey) -> Option<Vec<u8>> {
    der::public_bits(&key.public_key()?).map(<[u8]>::to_vec)
}
