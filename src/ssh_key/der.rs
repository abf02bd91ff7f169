//! DER (X.690), as far as private keys need it.

use zeroize::Zeroizing;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]` of SEC 1: the curve.
pub(super) const CURVE: u8 = 0xa0;

/// What is read of a sequence that is all there is.
pub(super) fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<T> {
    let mut outer = Reader(bytes);
    let mut inner = Reader(outer.value(SEQUENCE)?);
    let value = read(&mut inner)?;
    (outer.0.is_empty() && inner.0.is_empty()).then_some(value)
}

/// The point in a `SubjectPublicKeyInfo` (RFC 5280).
pub(super) fn public_bits(bytes: &[u8]) -> Option<&[u8]> {
    let bits = whole(bytes, |reader| {
        reader.value(SEQUENCE)?;
        reader.value(BIT_STRING)
    })?;
    bits.strip_prefix(&[0])
}

/// One element of fewer than 256 bytes; it may hold a private part.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let value = Zeroizing::new(parts.concat());
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    let long: &[u8] = if length < 0x80 { &[] } else { &[0x81] };
    Zeroizing::new([&[tag], long, &[length], &value].concat())
}

/// What has not been read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and value of the next element.
    pub(super) fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let count = usize::from(first.checked_sub(0x80).unwrap_or_default());
        let (length, rest) = rest.split_at_checked(count).filter(|_| count <= 3)?;
        let length = match first {
            0x80 => return None,
            ..0x80 => usize::from(*first),
            _ => length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    pub(super) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// An INTEGER that is not negative and has no needless zero before it.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        let value = self.value(INTEGER)?;
        let is_right = match value {
            [0, second, ..] => second & 0x80 != 0,
            [first, ..] => first & 0x80 == 0,
            [] => false,
        };
        is_right.then_some(value)
    }
}
