//! Keys as text: sections of PEM (RFC 7468), found wherever they stand, and what people store in their place.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use zeroize::Zeroizing;

use super::{Content, NotAKey, envelope};

pub(super) const OPENSSH: &str = "OPENSSH PRIVATE KEY";
pub(super) const PKCS1: &str = "RSA PRIVATE KEY";
pub(super) const SEC1: &str = "EC PRIVATE KEY";
pub(super) const PKCS8: &str = "PRIVATE KEY";

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// The first section that holds a private key, decoded.
pub(super) struct Section<'a> {
    pub(super) label: &'a str,
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// Finds the key in a text; certificates and parameters before it are skipped.
pub(super) fn section(bytes: &[u8]) -> Result<Section<'_>, NotAKey> {
    let mut first = None;
    let mut rest = bytes;
    while let Some((_, after)) = split(rest, BEGIN) {
        rest = after;
        let Some((label, body)) = split(after, DASHES) else { break };
        let Ok(label) = std::str::from_utf8(label) else { continue };
        if label.ends_with("PRIVATE KEY") {
            let end = [b"-----END ", label.as_bytes(), DASHES].concat();
            let (body, _) = split(body, &end).ok_or(NotAKey::Unclosed)?;
            return Ok(Section { label, content: content(body)? });
        }
        first.get_or_insert(label);
    }
    Err(first.map_or_else(|| without_section(bytes.trim_ascii()), NotAKey::of_label))
}

/// The section that other programs read as it is, in lines as OpenSSH and OpenSSL write them.
pub(super) fn written(label: &str, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let width = if label == OPENSSH { 70 } else { 64 };
    let encoded = Zeroizing::new(Base64::encode_string(content));
    // With this room it never grows, so no copy is left behind.
    let room = encoded.len() + encoded.len() / width + 2 * label.len() + 40;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in encoded.as_bytes().chunks(width) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

/// One line of an `authorized_keys` file. A comment that would not stay on its line is left out.
pub(super) fn public_line(content: &Content) -> Vec<u8> {
    let encoded = Base64::encode_string(&content.public);
    let algorithm = envelope::first_string(&content.public);
    let mut line = [algorithm, b" ", encoded.as_bytes()].concat();
    if !content.comment.is_empty() && !content.comment.iter().any(u8::is_ascii_control) {
        line.push(b' ');
        line.extend_from_slice(&content.comment);
    }
    line.push(b'\n');
    line
}

/// What is between the first and the last line: headers as older tools write them, and base64.
fn content(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAKey> {
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if split(body, b"\\n").is_some() {
        return Err(NotAKey::EscapedLineEnds);
    }
    if !body.iter().any(is_line_end) && body.trim_ascii().iter().any(u8::is_ascii_whitespace) {
        return Err(NotAKey::BlankLineEnds);
    }
    if split(body, b"4,ENCRYPTED").is_some() {
        return Err(NotAKey::Passphrase);
    }
    let mut encoded = Zeroizing::new(Vec::with_capacity(body.len()));
    for line in body.split(is_line_end).filter(|line| !line.contains(&b':')) {
        encoded.extend_from_slice(line);
    }
    decoded(&encoded).ok_or(NotAKey::Damaged)
}

/// Base64 with white space anywhere, padded or not.
fn decoded(encoded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(encoded.len()));
    packed.extend(encoded.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let text = std::str::from_utf8(&packed).ok()?.trim_end_matches('=');
    Base64Unpadded::decode_vec(text).ok().map(Zeroizing::new)
}

fn without_section(text: &[u8]) -> NotAKey {
    const PUBLIC: [&[u8]; 4] = [b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC KEY"];
    let begins = |starts: &[&[u8]]| starts.iter().any(|start| text.starts_with(start));
    if begins(&[b"\xff\xfe", b"\xfe\xff"]) {
        NotAKey::Utf16
    } else if begins(&[b"PuTTY-User-Key-File-"]) {
        NotAKey::Putty
    } else if begins(&[b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY"]) {
        NotAKey::Ssh2
    } else if begins(&PUBLIC) {
        NotAKey::Public
    } else {
        decoded(text).map_or(NotAKey::Unknown, |inner| of_decoded(&inner))
    }
}

fn of_decoded(bytes: &[u8]) -> NotAKey {
    if split(bytes, BEGIN).is_some() {
        NotAKey::Base64
    } else if bytes.starts_with(envelope::MAGIC) {
        NotAKey::Unframed
    } else {
        NotAKey::Unknown
    }
}

/// What is before and after the first occurrence of a word.
fn split<'a>(bytes: &'a [u8], word: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(word.len()).position(|window| window == word)?;
    Some((bytes.get(..at)?, bytes.get(at + word.len()..)?))
}
