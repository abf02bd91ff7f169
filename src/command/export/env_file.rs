//! The env file that the kubelet of Kubernetes 1.35 reads for `fileKeyRef`: a line `NAME='value'` for each variable.
//!
//! Everything between two single quotes is literal, also newlines. There is no escape for a single quote. The kubelet
//! reads the file by lines, and so loses the CR of a CRLF and refuses long lines; it takes an empty value for a missing
//! one; and it passes values on as text.

use zeroize::Zeroizing;

use crate::error::{Problem, Reason};
use crate::resolve::Accepted;

/// The longest line, without its newline, that Go's `bufio.Scanner` reads.
const LONGEST_LINE: usize = 65_535;

const FIX: &str = "start the app with `cryokey run` (`cryokey install` brings it into the container), or deliver it \
                   as a file: `deliver = \"file\"`";

/// The file's content, or all values that it cannot hold.
pub(super) fn text(variables: &[Accepted<'_>]) -> Result<Zeroizing<Vec<u8>>, Vec<Problem>> {
    let pairs = variables.iter().map(|secret| (secret.name.as_str(), secret.variable_bytes()));
    let problems: Vec<Problem> = variables
        .iter()
        .zip(pairs.clone())
        .filter_map(|(secret, (name, bytes))| Some(problem(secret, obstacle(name, bytes)?)))
        .collect();
    if problems.is_empty() { Ok(written(pairs)) } else { Err(problems) }
}

fn problem(secret: &Accepted<'_>, why: &str) -> Problem {
    let (name, place) = (secret.name.as_str(), secret.tried.label());
    Problem::new(Reason::EnvFile, name, format!("{name} ({place}) cannot be in an env file: {why}"), FIX)
}

/// Why the kubelet would not get this value as it is.
fn obstacle(name: &str, value: &[u8]) -> Option<&'static str> {
    let has_long_line = || {
        let mut lines = value.split(|byte| *byte == b'\n').map(<[u8]>::len);
        let first = lines.next().unwrap_or_default() + name.len() + "='".len();
        // The closing quote counts for the last line; one byte less for each of the others is no loss.
        lines.chain([first]).any(|length| length + "'".len() > LONGEST_LINE)
    };
    match value {
        [] => Some("it is empty, which the kubelet takes for missing"),
        value if value.contains(&b'\'') => Some("it contains a single quote, which the format cannot escape"),
        value if value.contains(&0) => Some("it contains a NUL, which a variable cannot hold"),
        value if value.windows(2).any(|pair| pair == b"\r\n") => {
            Some("it contains a CRLF, of which the kubelet loses the CR")
        }
        value if std::str::from_utf8(value).is_err() => Some("it is not UTF-8"),
        _ if has_long_line() => Some("it has a line of more than 65,535 bytes, with name and quotes"),
        _ => None,
    }
}

/// Allocated at its final size: growing would leave copies of values behind.
fn written<'a>(pairs: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> Zeroizing<Vec<u8>> {
    let size = pairs.clone().map(|(name, value)| name.len() + value.len() + "=''\n".len()).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in pairs {
        for part in [name.as_bytes(), b"='", value, b"'\n"] {
            text.extend_from_slice(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        written(pairs.iter().copied()).to_vec()
    }

    #[test]
    fn a_value_stands_between_single_quotes_byte_for_byte() {
        let pairs: [(&str, &[u8]); 3] =
            [("A", b" $B `c` \\ \"#\" "), ("B", b"=\n\n x\r"), ("C", "\u{feff}ä".as_bytes())];
        let expected = "A=' $B `c` \\ \"#\" '\nB='=\n\n x\r'\nC='\u{feff}ä'\n";
        assert_eq!(file(&pairs), expected.as_bytes());
        assert!(pairs.iter().all(|(name, value)| obstacle(name, value).is_none()));
    }

    #[test]
    fn the_text_is_allocated_once() {
        let text = written([("A", &b"value"[..]), ("NAME", b"x")].into_iter());
        assert_eq!(text.capacity(), text.len());
    }

    #[test]
    fn what_the_kubelet_would_change_or_refuse_is_an_obstacle() {
        for value in [&b""[..], b"it's", b"a\0b", b"a\r\nb", b"\r\n", b"\xff"] {
            assert!(obstacle("A", value).is_some(), "{value:?}");
        }
        assert_eq!(obstacle("A", b"\n\r"), None);
    }

    #[test]
    fn a_line_may_have_65_535_bytes_with_name_and_quotes() {
        let longest = LONGEST_LINE - "NAME=''".len();
        assert_eq!(obstacle("NAME", &vec![b'x'; longest]), None);
        assert!(obstacle("NAME", &vec![b'x'; longest + 1]).is_some());
        let lines = [vec![b'x'; longest], vec![b'x'; LONGEST_LINE - 1]].join(&b'\n');
        assert_eq!(obstacle("NAME", &lines), None);
        assert!(obstacle("NAME", &[b"a\n", &vec![b'x'; LONGEST_LINE][..]].concat()).is_some());
    }
}
