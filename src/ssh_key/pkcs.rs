//! The formats before OpenSSH's own, in DER: PKCS#1, SEC 1 and PKCS#8 (RFC 8017, 5915, 5958).

use super::der::{CURVE, OBJECT, OCTET_STRING, Reader, SEQUENCE, whole};
use super::halves::{self, Curve};
use super::{Content, Kind, NotAKey, envelope};

/// Object identifiers without tag and length.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

pub(super) fn pkcs1(bytes: &[u8]) -> Result<Content, NotAKey> {
    let (n, e) = whole(bytes, rsa_numbers).ok_or(NotAKey::Damaged)?;
    let trimmed = |number: &'_ [u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    halves::rsa(&trimmed(n), &trimmed(e))?;
    // An INTEGER of DER and an mpint of SSH are the same bytes.
    Ok(content(Kind::Rsa, envelope::strings(&[b"ssh-rsa", e, n])))
}

pub(super) fn sec1(bytes: &[u8]) -> Result<Content, NotAKey> {
    let curve = whole(bytes, sec1_curve).ok_or(NotAKey::Damaged)?;
    ecdsa(curve, halves::of_sec1(bytes))
}

pub(super) fn pkcs8(bytes: &[u8]) -> Result<Content, NotAKey> {
    let Parts { algorithm, parameters, key } = whole(bytes, pkcs8_parts).ok_or(NotAKey::Damaged)?;
    match algorithm {
        RSA => pkcs1(key),
        EC => ecdsa(parameters, halves::of_pkcs8_ec(bytes)),
        ED25519 => ed25519(key).ok_or(NotAKey::Damaged),
        DSA => Err(NotAKey::Dsa),
        _ => Err(NotAKey::Unsupported),
    }
}

/// Modulus and public exponent.
fn rsa_numbers<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    reader.positive().filter(|version| *version == [0])?;
    let (n, e) = (reader.positive()?, reader.positive()?);
    for _d_p_q_exponents_coefficient in 0..6 {
        reader.positive()?;
    }
    Some((n, e))
}

/// The curve's parameters as they stand.
fn sec1_curve<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.positive().filter(|version| *version == [1])?;
    reader.value(OCTET_STRING)?;
    let curve = reader.value(CURVE)?;
    if !reader.0.is_empty() {
        reader.value(0xa1)?;
    }
    Some(curve)
}

struct Parts<'a> {
    algorithm: &'a [u8],
    parameters: &'a [u8],
    key: &'a [u8],
}

/// Attributes and a public half may follow (RFC 5958); nothing asks for them.
fn pkcs8_parts<'a>(reader: &mut Reader<'a>) -> Option<Parts<'a>> {
    reader.positive().filter(|version| matches!(version, [0 | 1]))?;
    let mut identifier = Reader(reader.value(SEQUENCE)?);
    let algorithm = identifier.value(OBJECT)?;
    let key = reader.value(OCTET_STRING)?;
    while !reader.0.is_empty() {
        reader.element()?;
    }
    Some(Parts { algorithm, parameters: identifier.0, key })
}

/// ECDSA of a known curve whose point fits its scalar; `parameters` tell a strange curve from a damaged key.
fn ecdsa(parameters: &[u8], point: Option<(&'static Curve, Vec<u8>)>) -> Result<Content, NotAKey> {
    let is_known =
        || Reader(parameters).value(OBJECT).is_some_and(|object| Curve::of_object(object).is_some());
    let Some((curve, point)) = point else {
        return Err(if is_known() { NotAKey::Damaged } else { NotAKey::Unsupported });
    };
    Ok(content(Kind::Ecdsa, envelope::strings(&[curve.algorithm, curve.name, &point])))
}

/// OpenSSH reads Ed25519 in PKCS#8 since 9.6 only, so it is converted.
fn ed25519(key: &[u8]) -> Option<Content> {
    let mut reader = Reader(key);
    let seed = reader.value(OCTET_STRING).filter(|_| reader.0.is_empty())?;
    let (envelope, public) = envelope::of_ed25519(seed, &halves::ed25519(seed)?);
    Some(Content { converted: Some(envelope), ..content(Kind::Ed25519, public) })
}

fn content(kind: Kind, public: Vec<u8>) -> Content {
    Content { kind, public, comment: Vec::new(), converted: None }
}
