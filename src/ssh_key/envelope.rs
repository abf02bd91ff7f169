//! OpenSSH's own format of private keys, as `PROTOCOL.key` in its sources has it.

use zeroize::Zeroizing;

use super::halves::{self, Curve};
use super::{Content, Kind, NotAKey};

pub(super) const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Values of this size end on the border of a cipher's block, also where there is no cipher.
const BLOCK: usize = 8;

/// Reads one key without a passphrase, and holds its two tellings of the public half against each other, as ssh does.
pub(super) fn read(bytes: &[u8]) -> Result<Content, NotAKey> {
    let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(NotAKey::Damaged)?);
    let (cipher, kdf, options) = reader.three_strings().ok_or(NotAKey::Damaged)?;
    if cipher != b"none" && kdf == b"bcrypt" {
        return Err(NotAKey::Passphrase);
    }
    let outer = (cipher == b"none" && kdf == b"none" && options.is_empty()).then_some(reader);
    let (public, private) = outer.and_then(only_key).ok_or(NotAKey::Damaged)?;
    let (kind, fields, mut rest) = private_fields(private)?;
    let comment = rest.string().filter(|comment| !comment.contains(&0)).ok_or(NotAKey::Damaged)?;
    let is_padded = rest.0.len() < BLOCK && (1..).zip(rest.0).all(|(expected, byte)| expected == *byte);
    if !is_padded || !is_public_half(public, &fields) {
        return Err(NotAKey::Damaged);
    }
    fields.proved()?;
    Ok(Content { kind, public: public.to_owned(), comment: comment.to_owned(), converted: None })
}

/// Writes an Ed25519 key. The two check numbers are equal and may be anything; they are taken from the public half, so
/// that the same key is the same text at every startup.
pub(super) fn of_ed25519(seed: &[u8], public: &[u8]) -> (Zeroizing<Vec<u8>>, Vec<u8>) {
    let blob = strings(&[halves::ED25519, public]);
    let check = public.get(..4).unwrap_or(&[0; 4]);
    let secret = Zeroizing::new([seed, public].concat());
    let fields = Zeroizing::new(strings(&[halves::ED25519, public, &secret, b""]));
    let mut private = Zeroizing::new([check, check, &fields].concat());
    let padding: Vec<u8> = (1..).take(private.len().next_multiple_of(BLOCK) - private.len()).collect();
    private = Zeroizing::new([&private, &padding[..]].concat());
    let start = strings(&[b"none", b"none", b""]);
    let keys = Zeroizing::new(strings(&[&blob, &private]));
    (Zeroizing::new([MAGIC, &start, &1_u32.to_be_bytes(), &keys].concat()), blob)
}

/// Strings as SSH encodes them: four bytes of length before each (RFC 4251, 5).
pub(super) fn strings(all: &[&[u8]]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(all.iter().map(|one| one.len() + 4).sum());
    for one in all {
        encoded.extend_from_slice(&u32::try_from(one.len()).unwrap_or(u32::MAX).to_be_bytes());
        encoded.extend_from_slice(one);
    }
    encoded
}

/// The first string of a public half: its algorithm.
pub(super) fn first_string(blob: &[u8]) -> &[u8] {
    Reader(blob).string().unwrap_or_default()
}

/// The public and the private part of the one key that there is.
fn only_key(mut reader: Reader<'_>) -> Option<(&[u8], &[u8])> {
    let count = reader.number()?;
    let (public, private) = (reader.string()?, reader.string()?);
    let is_whole = count == 1 && reader.0.is_empty() && private.len().is_multiple_of(BLOCK);
    is_whole.then_some((public, private))
}

/// What a private part says of its key.
enum Fields<'a> {
    Rsa { n: &'a [u8], e: &'a [u8] },
    Ecdsa { curve: &'static Curve, point: &'a [u8], scalar: &'a [u8] },
    Ed25519 { public: &'a [u8], secret: &'a [u8] },
    Ed25519Sk { public: &'a [u8], application: &'a [u8] },
    EcdsaSk { point: &'a [u8], application: &'a [u8] },
}

fn private_fields(private: &[u8]) -> Result<(Kind, Fields<'_>, Reader<'_>), NotAKey> {
    let mut reader = Reader(private);
    let checks = (reader.number(), reader.number());
    let algorithm = reader.string().filter(|_| checks.0 == checks.1).ok_or(NotAKey::Damaged)?;
    let (kind, fields) = match algorithm {
        b"ssh-rsa" => (Kind::Rsa, reader.rsa()),
        halves::ED25519 => (Kind::Ed25519, reader.ed25519()),
        b"sk-ssh-ed25519@openssh.com" => (Kind::Ed25519Sk, reader.ed25519_sk()),
        b"sk-ecdsa-sha2-nistp256@openssh.com" => (Kind::EcdsaSk, reader.ecdsa_sk()),
        b"ssh-dss" => return Err(NotAKey::Dsa),
        other => match Curve::of_algorithm(other) {
            Some(curve) => (Kind::Ecdsa, reader.ecdsa(curve)),
            None => return Err(NotAKey::Unsupported),
        },
    };
    Ok((kind, fields.ok_or(NotAKey::Damaged)?, reader))
}

/// Whether a public half, number for number, is that of the private one.
fn is_public_half(public: &[u8], fields: &Fields<'_>) -> bool {
    let mut reader = Reader(public);
    let algorithm = reader.string().unwrap_or_default();
    let mut has = |expected: &[u8]| reader.string() == Some(expected);
    let is_same = match fields {
        Fields::Rsa { n, e } => {
            let mut has = |expected: &[u8]| reader.mpint() == Some(expected);
            algorithm == b"ssh-rsa" && has(e) && has(n)
        }
        Fields::Ecdsa { curve, point, .. } => algorithm == curve.algorithm && has(curve.name) && has(point),
        Fields::Ed25519 { public, .. } => algorithm == halves::ED25519 && has(public),
        Fields::Ed25519Sk { public, application } => {
            algorithm == b"sk-ssh-ed25519@openssh.com" && has(public) && has(application)
        }
        Fields::EcdsaSk { point, application } => {
            algorithm == b"sk-ecdsa-sha2-nistp256@openssh.com"
                && has(halves::P256.name)
                && has(point)
                && has(application)
        }
    };
    is_same && reader.0.is_empty()
}

impl Fields<'_> {
    /// Whether the secret part is that of the public one. For RSA ssh does not ask either; a security key keeps it.
    fn proved(&self) -> Result<(), NotAKey> {
        let is_proved = match self {
            Self::Rsa { n, e } => return halves::rsa(n, e),
            Self::Ecdsa { curve, point, scalar } => {
                curve.point_of_scalar(scalar).is_some_and(|proved| proved == *point)
            }
            Self::Ed25519 { public, secret } => {
                let (seed, rest) = secret.split_at_checked(32).unwrap_or_default();
                rest == *public && halves::ed25519(seed).is_some_and(|proved| proved == *public)
            }
            Self::Ed25519Sk { .. } | Self::EcdsaSk { .. } => true,
        };
        if is_proved { Ok(()) } else { Err(NotAKey::Damaged) }
    }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn three_strings(&mut self) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
        Some((self.string()?, self.string()?, self.string()?))
    }

    /// A number without its leading zeros. ssh refuses negative ones, and those of more than 16,384 bits.
    fn mpint(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let number = bytes.get(zeros..)?;
        (!is_negative && bytes.len() <= 2_049 && number.len() <= 2_048).then_some(number)
    }

    fn rsa(&mut self) -> Option<Fields<'a>> {
        let (n, e) = (self.mpint()?, self.mpint()?);
        for _d_iqmp_p_q in 0..4 {
            self.mpint().filter(|number| !number.is_empty())?;
        }
        Some(Fields::Rsa { n, e })
    }

    fn ecdsa(&mut self, curve: &'static Curve) -> Option<Fields<'a>> {
        let name = self.string()?;
        let (point, scalar) = (self.string()?, self.mpint()?);
        (name == curve.name).then_some(Fields::Ecdsa { curve, point, scalar })
    }

    fn ed25519(&mut self) -> Option<Fields<'a>> {
        let (public, secret) = (self.string()?, self.string()?);
        (public.len() == 32 && secret.len() == 64).then_some(Fields::Ed25519 { public, secret })
    }

    fn ed25519_sk(&mut self) -> Option<Fields<'a>> {
        let public = self.string().filter(|public| public.len() == 32)?;
        let application = self.security_key()?;
        Some(Fields::Ed25519Sk { public, application })
    }

    fn ecdsa_sk(&mut self) -> Option<Fields<'a>> {
        self.string().filter(|name| *name == halves::P256.name)?;
        let point = self.string().filter(|point| halves::P256.has_form(point))?;
        let application = self.security_key()?;
        Some(Fields::EcdsaSk { point, application })
    }

    /// Application, flags, key handle, and a reserved string; gives the application.
    fn security_key(&mut self) -> Option<&'a [u8]> {
        let application = self.string().filter(|text| !text.contains(&0))?;
        self.take(1)?;
        self.string()?;
        self.string()?;
        Some(application)
    }
}
