//! Forms and queries, percent-encoded according to RFC 3986.

use zeroize::Zeroizing;

/// The content type of [`form`].
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The body of a form. It may contain a secret, so the buffer has its full size from the start: reallocation would
/// leave an unwiped copy.
#[must_use]
pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> Zeroizing<Vec<u8>> {
    let room = fields.clone().into_iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        body.extend(value.bytes().flat_map(encoded));
    }
    body
}

/// Encodes a text for a query or a path segment. Not for secrets, because the buffer may be reallocated.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    text.bytes().flat_map(encoded).map(char::from).collect()
}

/// Encodes every byte except the unreserved characters of RFC 3986, section 2.3.
fn encoded(byte: u8) -> impl Iterator<Item = u8> {
    let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let digit = |half: u8| {
        char::from_digit(u32::from(half), 16).map_or(b'0', |digit| digit.to_ascii_uppercase() as u8)
    };
    let encoded = if is_plain {
        [Some(byte), None, None]
    } else {
        [b'%', digit(byte >> 4), digit(byte & 15)].map(Some)
    };
    encoded.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_and_its_buffer_never_grows() {
        let body = form([("a", "x y/&=%ä"), ("b", "-._~")]);
        assert_eq!(*body, b"a=x%20y%2F%26%3D%25%C3%A4&b=-._~");
        let long = "\u{e4}".repeat(100);
        let body = form([("token", long.as_str())]);
        assert!(body.len() <= body.capacity() && body.capacity() <= 3 * 200 + 7);
        assert_eq!(percent_encoded("a/b?"), "a%2Fb%3F");
    }
}
