//! PEM as OpenSSL's reader has it, since that is what most apps read it with: a value that it refuses keeps the app from
//! starting later, with a message that says less.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

/// The labels of sections that OpenSSL decodes as one DER value.
const DER: &[&str] = &[
    "CERTIFICATE",
    "X509 CERTIFICATE",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "PKCS7",
    "CMS",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "DH PARAMETERS",
    "EC PARAMETERS",
];

/// In an encrypted section, and behind every blank line, lines have this many letters, the last one fewer.
const WIDTH: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether there is a section, and each is whole. Text outside of sections is ignored.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut lines = bytes.split(|byte| *byte == b'\n').map(trimmed);
    let mut count = 0;
    while let Some(label) = lines.by_ref().find_map(label) {
        if !Section::read(label, &mut lines).is_some_and(|section| section.is_whole()) {
            return false;
        }
        count += 1;
    }
    count > 0
}

/// White space at the end of a line is no part of it; at its beginning it is.
fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte > b' ').map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

fn label(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")
}

struct Section<'a> {
    label: &'a [u8],
    header: Zeroizing<Vec<u8>>,
    body: Zeroizing<Vec<u8>>,
}

impl<'a> Section<'a> {
    /// The lines up to the end of a section. A blank line ends the header, and there is only one.
    fn read(label: &'a [u8], lines: &mut impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut section = Self { label, header: Zeroizing::default(), body: Zeroizing::default() };
        let (mut is_behind_blank, mut is_over) = (false, false);
        for line in lines {
            if let Some(end) = line.strip_prefix(b"-----END ") {
                return (end.strip_suffix(b"-----") == Some(label)).then_some(section);
            }
            if line.is_empty() && !is_behind_blank {
                is_behind_blank = true;
                section.header = std::mem::take(&mut section.body);
                continue;
            }
            if section.is_checksum(line) {
                continue;
            }
            if line.is_empty() || is_over || is_behind_blank && line.len() > WIDTH {
                return None;
            }
            is_over = is_behind_blank && line.len() < WIDTH;
            section.body.extend_from_slice(line);
        }
        None
    }

    /// The last line of PGP's sections, which OpenSSL does not read.
    fn is_checksum(&self, line: &[u8]) -> bool {
        self.label.starts_with(b"PGP ") && line.starts_with(b"=")
    }

    fn is_whole(&self) -> bool {
        let is_encrypted = self.header.contains(&b':');
        self.decoded().is_some_and(|body| !body.is_empty() && (is_encrypted || self.is_right(&body)))
    }

    fn decoded(&self) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.body.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
        let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.collect());
        Base64::decode_vec(std::str::from_utf8(&text).ok()?).ok().map(Zeroizing::new)
    }

    /// Without a line in the middle, it is no whole DER value any more.
    fn is_right(&self, body: &[u8]) -> bool {
        !DER.iter().any(|label| label.as_bytes() == self.label) || is_der(body)
    }
}

/// One value, its length in as many bytes as it says, and nothing behind it.
fn is_der(bytes: &[u8]) -> bool {
    let Some(([tag, first], rest)) = bytes.split_first_chunk() else { return false };
    // A sequence in every section of these, except for a curve that is named by its object identifier.
    if !matches!(tag, 0x30 | 0x06) {
        return false;
    }
    if *first < 0x80 {
        return rest.len() == usize::from(*first);
    }
    let Some((length, content)) = rest.split_at_checked(usize::from(first & 0x7f)) else { return false };
    let length =
        length.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(0x100)?.checked_add(usize::from(*byte)));
    length == Some(content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_in_der_is_one_byte_below_128_or_says_how_many_bytes_it_has() {
        let der = |head: &[u8], content: usize| is_der(&[head, &vec![0; content]].concat());
        assert!(
            der(&[0x30, 0x7f], 0x7f) && der(&[0x30, 0x81, 0x80], 0x80) && der(&[0x30, 0x82, 1, 0], 0x100)
        );
        assert!(der(&[0x06, 1], 1) && !der(&[0x28, 1], 1), "other values than sequences and identifiers");
        assert!(!der(&[0x30, 0x80], 0x80) && !der(&[0x30, 0x7f], 0x7e) && !der(&[0x30, 0x81], 0));
    }
}
