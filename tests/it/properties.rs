//! What must hold whatever the input: which value wins, how names map, and that what is written is what is read.
//! The input is generated; a failure is shrunk to its smallest form and printed.

mod manifest;
mod precedence;
mod promise;
mod selection;

use std::io::Write as _;

use cryokey::escape::escaped;
use cryokey::name::EnvName;
use cryokey::secret::{Newline, Secret};
use cryokey::system::read;
use proptest::prelude::*;
use proptest::sample::select;

proptest! {
    #[test]
    fn a_name_that_comes_out_of_a_key_is_legal_and_maps_to_itself(key in any_text(), prefix in any_text()) {
        for mapped in [EnvName::from_key(&key, &prefix), EnvName::from_key(&key, "")].into_iter().flatten() {
            let text = mapped.as_str();
            prop_assert!(!text.is_empty() && text.len() <= 255);
            prop_assert!(!text.starts_with(|first: char| first.is_ascii_digit()));
            prop_assert!(text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')));
            prop_assert_eq!(EnvName::from_key(text, ""), Ok(mapped.clone()));
        }
    }

    #[test]
    fn a_prefix_and_one_separator_are_stripped(
        name in "[A-Z_][A-Z0-9_]{0,12}",
        prefix in "[a-z]{1,6}(/[a-z]{1,6})?",
        separator in select(["/", "-", "_", "."].as_slice()),
    ) {
        let expected = EnvName::parse(&name);
        for spelt in [name.clone(), name.to_lowercase()] {
            prop_assert_eq!(EnvName::from_key(&format!("{prefix}{separator}{spelt}"), &prefix), expected.clone());
            prop_assert_eq!(EnvName::from_key(&spelt, ""), expected.clone());
        }
        // A prefix that ends in its separator gives up no more than that.
        let whole = format!("{prefix}{separator}");
        if !name.starts_with('_') {
            prop_assert_eq!(EnvName::from_key(&format!("{whole}{name}"), &whole), expected);
        }
    }

    #[test]
    fn exactly_one_trailing_newline_is_stripped_and_nothing_else(
        value in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..8),
        end in select(["", "\n", "\r\n", "\r"].as_slice()),
    ) {
        let bytes = [&value[..], end.as_bytes()].concat();
        let expected = match bytes.as_slice() {
            [start @ .., b'\r', b'\n'] | [start @ .., b'\n'] => start,
            all => all,
        };
        let secret = Secret::new(bytes.clone());
        prop_assert_eq!(secret.expose_as(Newline::StripOne), expected);
        prop_assert_eq!(secret.expose_as(Newline::Keep), bytes.as_slice());
        prop_assert_eq!(secret.expose(), bytes.as_slice());
    }

    #[test]
    fn what_is_read_of_a_file_is_its_content(bytes in prop::collection::vec(any::<u8>(), 0..9_000)) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let (read, stat) = read::read_path(file.path()).unwrap();
        prop_assert_eq!(usize::try_from(stat.st_size).unwrap(), bytes.len());
        prop_assert!(read == bytes);
    }

    #[test]
    fn an_escaped_text_controls_no_terminal_and_misleads_no_reader(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        any_text().prop_map(String::into_bytes),
    ]) {
        let shown = escaped(&bytes);
        let steers = |character: char| {
            character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        prop_assert!(!shown.contains(steers), "{shown:?}");
        let longest_escape = 10;
        prop_assert!(shown.chars().count() <= 200 * longest_escape + 1);
        let is_plain = bytes.len() <= 200 && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        prop_assert!(!is_plain || shown.as_bytes() == bytes);
    }
}

/// Characters of all kinds, the control characters too.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![any::<char>(), prop::char::range('\0', '\u{9f}')], 0..12)
        .prop_map(|characters| characters.into_iter().collect())
}
