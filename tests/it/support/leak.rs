//! Values that must not be seen, and the search for them in everything that cryokey writes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A character that only canaries have.
const MARK: char = '§';

/// Files shorter than this are not searched for: short words may stand in a message by chance.
const LEAST: usize = 32;

/// Of what is longer, the beginning is searched for.
const MOST: usize = 4_096;

/// The width of the windows: any eight bytes of a value are a leak.
const WINDOW: usize = 8;

/// A value that looks like nothing else: 40 characters, among them those that quoting and escaping change.
pub(crate) fn canary() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut state = NEXT.fetch_add(1, Ordering::Relaxed) + (u64::from(std::process::id()) << 32);
    let mut letter = || {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        char::from(LETTERS[usize::try_from((mixed ^ (mixed >> 31)) % 64).unwrap()])
    };
    let mut part = |length: usize| (0..length).map(|_| letter()).collect::<String>();
    format!("{}{MARK}\"{}\\&%{}$={}<é>", part(8), part(8), part(7), part(6))
}

/// A canary that is a URL.
pub(crate) fn canary_url() -> String {
    format!("https://{}", canary())
}

/// What is searched for.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Vec<Arc<Canary>>);

struct Canary {
    encoded: Vec<(&'static str, Vec<u8>)>,
    windows: HashSet<[u8; WINDOW]>,
}

impl Canaries {
    /// Searches for a value from now on, unless it is a word that may stand anywhere.
    pub(crate) fn watch(&mut self, value: &[u8]) {
        if value.len() >= LEAST {
            self.watch_any(value);
        }
    }

    /// The same for a short value, where its parts cannot stand in a message by chance.
    pub(crate) fn watch_any(&mut self, value: &[u8]) {
        self.0.push(Arc::new(Canary::new(value.get(..MOST).unwrap_or(value))));
    }

    /// The same, but only for what [`canary`] made: other variables may be in messages.
    pub(crate) fn watch_if_marked(&mut self, value: &[u8]) {
        if String::from_utf8_lossy(value).contains(MARK) {
            self.watch(value);
        }
    }

    /// Panics, naming the encoding, where a value is in the text.
    #[track_caller]
    pub(crate) fn refuse(&self, text: &[u8]) {
        if let Some(encoding) = self.find(text) {
            panic!("a value got out ({encoding}): {}", String::from_utf8_lossy(text));
        }
    }

    /// The encoding in which a value is in the text.
    pub(crate) fn find(&self, text: &[u8]) -> Option<&'static str> {
        self.0.iter().find_map(|canary| canary.find(text))
    }
}

impl Canary {
    fn new(value: &[u8]) -> Self {
        // What every URL begins with is no secret.
        let secret = value.strip_prefix(b"https://").unwrap_or(value);
        let windows = secret.windows(WINDOW).map(|window| window.try_into().unwrap()).collect();
        let encoded = encodings(secret).into_iter().filter(|(_, encoded)| encoded.len() >= WINDOW).collect();
        Self { encoded, windows }
    }

    fn find(&self, text: &[u8]) -> Option<&'static str> {
        let whole = self.encoded.iter().find(|(_, encoded)| contains(text, encoded)).map(|(name, _)| *name);
        whole.or_else(|| {
            let is_window =
                |window: &[u8]| <[u8; WINDOW]>::try_from(window).is_ok_and(|it| self.windows.contains(&it));
            text.windows(WINDOW).any(is_window).then_some("window")
        })
    }
}

/// Every form of a value that is searched for, the windows apart.
pub(crate) fn encodings(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let text = String::from_utf8_lossy(value);
    let json = serde_json::to_string(&text).unwrap();
    vec![
        ("raw", value.to_vec()),
        ("trimmed", value.trim_ascii().to_vec()),
        ("base64", base64(value, 0, STANDARD)),
        ("base64, one byte on", base64(value, 1, STANDARD)),
        ("base64, two bytes on", base64(value, 2, STANDARD)),
        ("base64url", base64(value, 0, URL)),
        ("hex", hex(value, false)),
        ("HEX", hex(value, true)),
        ("url", percent(value)),
        ("json", json.as_bytes()[1..json.len() - 1].to_vec()),
        ("utf-16le", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("reversed", value.iter().rev().copied().collect()),
    ]
}

/// Those digits that do not depend on what stands before or behind the value, `shift` bytes into a longer text.
fn base64(value: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let padded: Vec<u8> = vec![0; shift].into_iter().chain(value.iter().copied()).collect();
    let digit = |at: usize| {
        let bit = |at: usize| padded.get(at / 8).map_or(0, |byte| usize::from(*byte >> (7 - at % 8) & 1));
        alphabet[(at * 6..at * 6 + 6).fold(0, |digit, at| digit << 1 | bit(at))]
    };
    ((shift * 8).div_ceil(6)..padded.len() * 8 / 6).map(digit).collect()
}

fn hex(value: &[u8], is_upper: bool) -> Vec<u8> {
    let mut text = String::new();
    for byte in value {
        let _ = if is_upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
    }
    text.into_bytes()
}

/// RFC 3986: everything but unreserved characters is escaped.
fn percent(value: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text.into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.len() <= text.len() && text.windows(part.len()).any(|window| window == part)
}
