//! `ssh-keygen` is the judge: what cryokey places it must be able to read, and what cryokey refuses it cannot read, or
//! the message says what it is.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use cryokey::ssh_key::{Key, NotAKey};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::{ED25519, staging};
use crate::support::{Need, require};

/// Random cases; each asks ssh-keygen once, which takes a few milliseconds.
const CASES: u32 = 600;

/// A key as a tool makes it.
#[derive(Debug, Clone)]
struct Made {
    what: String,
    text: Vec<u8>,
}

/// Keys of every type that both ssh and cryokey use.
static USED: LazyLock<Vec<Made>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    for (kind, bits) in [
        ("rsa", "1024"),
        ("rsa", "2048"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("ed25519", ""),
    ] {
        for form in ["RFC4716", "PEM", "PKCS8"] {
            keys.push(keygen(
                &["-t", kind, if bits.is_empty() { "-q" } else { "-b" }, bits, "-m", form],
                b"a b",
            ));
        }
    }
    keys.push(keygen(&["-t", "ed25519"], b""));
    keys.push(keygen(&["-t", "ed25519"], b"caf\xe9 \xff\xfe"));
    keys.push(keygen(&["-t", "ecdsa"], "für die Übung".as_bytes()));
    keys.extend((0..8).map(|_| keygen(&["-t", "ecdsa", "-b", "521"], b"a scalar of random length")));
    for curve in ["P-256", "P-384", "P-521"] {
        let curve = format!("ec_paramgen_curve:{curve}");
        keys.push(openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve]));
    }
    keys.push(openssl(&["ecparam", "-genkey", "-name", "prime256v1"]));
    keys.push(openssl(&["ecparam", "-genkey", "-name", "secp384r1", "-conv_form", "compressed"]));
    keys.push(openssl(&["ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit"]));
    keys.push(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]));
    keys.push(openssl(&["genpkey", "-algorithm", "ED25519"]));
    keys.extend([security_key_ed25519(), security_key_ecdsa()]);
    keys
});

/// Private keys that ssh does not use, and what a refusal calls them.
static UNUSED: LazyLock<Vec<(Made, NotAKey)>> = LazyLock::new(|| {
    let ec = |curve: &str| {
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
    };
    vec![
        (ec("secp256k1"), NotAKey::Unsupported),
        (ec("P-224"), NotAKey::Unsupported),
        (openssl(&["ecparam", "-genkey", "-name", "secp256k1"]), NotAKey::Unsupported),
        (openssl(&["genpkey", "-algorithm", "ED448"]), NotAKey::Unsupported),
        (openssl(&["genpkey", "-algorithm", "X25519"]), NotAKey::Unsupported),
        (
            openssl(&["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
            NotAKey::Unsupported,
        ),
        (openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:768"]), NotAKey::Short),
        (openssl(&["dsaparam", "-genkey", "-noout", "1024"]), NotAKey::Dsa),
        (keygen(&["-t", "ed25519", "-N", "word"], b""), NotAKey::Passphrase),
        (keygen(&["-t", "rsa", "-b", "1024", "-m", "PEM", "-N", "words"], b""), NotAKey::Passphrase),
        (keygen(&["-t", "rsa", "-b", "1024", "-m", "PKCS8", "-N", "words"], b""), NotAKey::Passphrase),
    ]
});

/// How people and programs change the text of a key without changing the key.
#[derive(Debug, Clone)]
enum Harmless {
    Wrapped(usize),
    LineEnds(&'static str),
    BlankLines,
    Indented,
    Around(&'static str, &'static str),
    WithoutLastLineEnd,
    WithoutPadding,
}

#[derive(Debug, Clone)]
enum Damage {
    LineLost(Index),
    LineTwice(Index),
    LettersSwapped(Index),
    LetterChanged(Index, char),
    LetterLost(Index),
    Cut(Index),
}

#[test]
fn a_key_of_every_type_is_placed_so_that_ssh_keygen_reads_it_whatever_its_text_looks_like() {
    if !require(Need::SshKeygen) {
        return;
    }
    for key in USED.iter() {
        for change in [
            None,
            Some(Harmless::Wrapped(64)),
            Some(Harmless::LineEnds("\r")),
            Some(Harmless::Around("# for deployment\n", "\nend\n")),
        ] {
            let text = change.iter().fold(key.text.clone(), |text, change| change.made_to(&text));
            let test = staging(&text);
            test.start().app().has_no("SSH_KEY");
            let files = fs::read_dir(test.at("home/.ssh")).unwrap().map(|entry| entry.unwrap().path());
            let private = files.into_iter().find(|path| {
                path.extension().is_none() && path.file_name().unwrap().as_encoded_bytes().starts_with(b"id_")
            });
            let private = private.unwrap();
            let public = public_half(&private).unwrap_or_else(|| panic!("{} {change:?}", key.what));
            assert_eq!(two_words(&fs::read(private.with_extension("pub")).unwrap()), public, "{}", key.what);
        }
    }
}

#[test]
fn what_ssh_does_not_use_is_refused_by_its_name() {
    if !require(Need::SshKeygen) {
        return;
    }
    for (key, expected) in UNUSED.iter() {
        assert_eq!(Key::parse(&key.text).unwrap_err(), *expected, "{}", key.what);
        staging(&key.text).start().refused(65, "resolve", "SSH_KEY", "format").says(&expected.to_string());
    }
}

#[test]
fn l09_whatever_is_done_to_a_key_is_mended_or_refused_as_ssh_keygen_has_it() {
    if !require(Need::SshKeygen) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let count = USED.len();
    let strategy = (0..count, prop::collection::vec(harmless(), 0..4), prop::option::of(damage()));
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let judged = TestRunner::new(config).run(&strategy, |(at, harmless, damage)| {
        let key = &USED[at];
        let damaged = damage.iter().fold(key.text.clone(), |text, damage| damage.done_to(&text));
        let text = harmless.iter().fold(damaged, |text, change| change.made_to(&text));
        match Key::parse(&text) {
            Ok(parsed) => {
                let public = public_half(&written(&place, parsed.expose()));
                prop_assert_eq!(public, Some(two_words(parsed.public())), "{}: {}", key.what, lossy(&text));
                let again = Key::parse(parsed.expose()).unwrap();
                prop_assert_eq!(again.expose(), parsed.expose());
            }
            Err(why) => {
                prop_assert!(damage.is_some(), "{}: {why}: {}", key.what, lossy(&text));
                let is_said = why != NotAKey::Unknown || public_half(&written(&place, &text)).is_none();
                prop_assert!(is_said, "{}: {why}: {}", key.what, lossy(&text));
            }
        }
        Ok(())
    });
    judged.unwrap();
}

#[test]
fn what_is_written_for_a_key_of_ssh_keygen_is_the_same_text() {
    if !require(Need::SshKeygen) {
        return;
    }
    let is_of_keygen = |key: &&Made| key.what.contains("-t");
    for key in USED.iter().filter(is_of_keygen) {
        assert_eq!(lossy(Key::parse(&key.text).unwrap().expose()), lossy(&key.text), "{}", key.what);
    }
}

#[test]
fn forms_that_are_not_the_file_of_a_key_are_called_by_their_name() {
    let lines: Vec<&str> = ED25519.lines().collect();
    let encoded = lines[1..lines.len() - 1].concat();
    let utf16: Vec<u8> = format!("\u{feff}{ED25519}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64 = run(Command::new("base64"), ED25519.as_bytes()).unwrap();
    let cases: [(&[u8], &str); 7] = [
        (&base64, "base64"),
        (ED25519.replace('\n', " ").as_bytes().to_owned().leak(), "replaced by spaces"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n", "PuTTY"),
        (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "SSH2"),
        (encoded.as_bytes(), "without its first and last line"),
        (&utf16, "UTF-16"),
        (b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n", "public key"),
    ];
    for (value, says) in cases {
        staging(value).start().refused(65, "resolve", "SSH_KEY", "format").says(says);
    }
}

fn harmless() -> impl Strategy<Value = Harmless> {
    prop_oneof![
        (1_usize..100).prop_map(Harmless::Wrapped),
        select(["\n", "\r\n", "\r"].as_slice()).prop_map(Harmless::LineEnds),
        Just(Harmless::BlankLines),
        Just(Harmless::Indented),
        select(
            [("", "\n\n"), ("\u{feff}", ""), ("note: x\n", "# end"), ("K=\"", "\""), ("\n \t", "\r\n")]
                .as_slice()
        )
        .prop_map(|(before, after)| Harmless::Around(before, after)),
        Just(Harmless::WithoutLastLineEnd),
        Just(Harmless::WithoutPadding),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::LineLost),
        any::<Index>().prop_map(Damage::LineTwice),
        any::<Index>().prop_map(Damage::LettersSwapped),
        (any::<Index>(), prop::char::range('A', 'z')).prop_map(|(at, to)| Damage::LetterChanged(at, to)),
        any::<Index>().prop_map(Damage::LetterLost),
        any::<Index>().prop_map(Damage::Cut),
    ]
}

impl Harmless {
    fn made_to(&self, text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_owned()).unwrap();
        let lines: Vec<&str> = text.split(['\n', '\r']).collect();
        let changed = match self {
            Self::Wrapped(width) => {
                lines.iter().map(|line| wrapped(line, *width)).collect::<Vec<_>>().join("\n")
            }
            Self::LineEnds(end) => lines.join(end),
            Self::BlankLines => lines.join("\n\n"),
            Self::Indented => lines.join("\n    "),
            Self::Around(before, after) => format!("{before}{text}{after}"),
            Self::WithoutLastLineEnd => text.trim_end().to_owned(),
            Self::WithoutPadding => text.replace('=', ""),
        };
        changed.into_bytes()
    }
}

impl Damage {
    /// Changes the lines between the first and the last of the private key.
    fn done_to(&self, text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_owned()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let first = lines.iter().position(|line| line.contains("PRIVATE KEY")).unwrap() + 1;
        let last = lines.len() - 1;
        let at = |index: &Index| first + index.index(last - first);
        match self {
            Self::LineLost(index) => drop(lines.remove(at(index))),
            Self::LineTwice(index) => {
                let line = at(index);
                lines.insert(line, lines[line].clone());
            }
            Self::LettersSwapped(index) => {
                let line = at(index);
                let letters: Vec<char> = lines[line].chars().collect();
                let swapped = letters.chunks(2).flat_map(|pair| pair.iter().rev());
                lines[line] = swapped.collect();
            }
            Self::LetterChanged(index, to) => {
                let line = at(index);
                let place = index.index(lines[line].len());
                lines[line].replace_range(place..=place, &to.to_string());
            }
            Self::LetterLost(index) => {
                let line = at(index);
                let place = index.index(lines[line].len());
                lines[line].remove(place);
            }
            Self::Cut(index) => lines.truncate(at(index)),
        }
        lines.join("\n").into_bytes()
    }
}

fn wrapped(line: &str, width: usize) -> String {
    if line.contains("-----") {
        return line.to_owned();
    }
    let letters: Vec<char> = line.chars().collect();
    letters.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// What `ssh-keygen -y` says of a file: algorithm and key.
fn public_half(path: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-y", "-P", "", "-f"]).arg(path);
    Some(two_words(&run(command, b"")?))
}

fn two_words(line: &[u8]) -> Vec<String> {
    lossy(line).split_whitespace().take(2).map(str::to_owned).collect()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn written(place: &TempDir, text: &[u8]) -> std::path::PathBuf {
    let path = place.path().join("key");
    let _ = fs::remove_file(&path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(text).unwrap();
    path
}

fn keygen(arguments: &[&str], comment: &[u8]) -> Made {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("key");
    let arguments: Vec<&str> = arguments.iter().copied().filter(|word| !word.is_empty()).collect();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-f"]).arg(&path).arg("-C").arg(crate::support::bytes(comment));
    if !arguments.contains(&"-N") {
        command.args(["-N", ""]);
    }
    command.args(&arguments);
    run(command, b"").unwrap();
    Made { what: format!("ssh-keygen {}", arguments.join(" ")), text: fs::read(path).unwrap() }
}

fn openssl(arguments: &[&str]) -> Made {
    let mut command = Command::new("openssl");
    command.args(arguments);
    Made { what: format!("openssl {}", arguments.join(" ")), text: run(command, b"").unwrap() }
}

/// What a program prints, where it succeeds.
fn run(mut command: Command, input: &[u8]) -> Option<Vec<u8>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

/// Keys of security keys cannot be made without one; their files hold no secret, and can.
fn security_key_ed25519() -> Made {
    let public = public_blob(&keygen(&["-t", "ed25519"], b""));
    security_key(b"sk-ssh-ed25519@openssh.com", &public[1..])
}

fn security_key_ecdsa() -> Made {
    let public = public_blob(&keygen(&["-t", "ecdsa"], b""));
    security_key(b"sk-ecdsa-sha2-nistp256@openssh.com", &public[1..])
}

fn security_key(algorithm: &[u8], public: &[Vec<u8>]) -> Made {
    let mut half = string(algorithm);
    half.extend(public.iter().flat_map(|part| string(part)));
    half.extend(string(b"ssh:"));
    let mut private =
        [&[7; 8], &half[..], &[1], &string(b"handle"), &string(b""), &string(b"comment")].concat();
    let padding = private.len().next_multiple_of(8) - private.len();
    private.extend((1..).take(padding));
    let none = string(b"none");
    let all = [
        b"openssh-key-v1\0",
        &none[..],
        &none,
        &string(b""),
        &[0, 0, 0, 1],
        &string(&half),
        &string(&private),
    ];
    let encoded = run(Command::new("base64"), &all.concat()).unwrap();
    let text = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}-----END OPENSSH PRIVATE KEY-----\n",
        lossy(&encoded)
    );
    Made { what: lossy(algorithm), text: text.into_bytes() }
}

/// The strings of a public half.
fn public_blob(key: &Made) -> Vec<Vec<u8>> {
    let line = lossy(Key::parse(&key.text).unwrap().public());
    let mut command = Command::new("base64");
    command.arg("-d");
    let blob = run(command, line.split(' ').nth(1).unwrap().as_bytes()).unwrap();
    let mut rest = blob.as_slice();
    let mut strings = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (string, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        strings.push(string.to_owned());
        rest = after;
    }
    strings
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}
