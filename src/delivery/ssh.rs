//! SSH keys: read, mended, and placed in the home directory.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustls_pki_types::pem::{SectionKind, from_buf};
use ssh_key::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

use super::{Accepted, Placed, atomic, files};
use crate::accounts::{self, Home};
use crate::bounded;
use crate::config::Config;
use crate::error::{Exit, Problem};
use crate::escape::escaped;

/// A private key as it will be written.
pub struct Key {
    text: Zeroizing<Vec<u8>>,
    public: Option<String>,
    kind: &'static str,
}

/// Why a value is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAKey {
    /// Line ends are written as `\n`, two characters.
    EscapedLineEnds,
    /// It needs a passphrase.
    Passphrase,
    /// It is the public half.
    Public,
    /// It is something else, or broken.
    Unknown,
}

impl Key {
    /// Reads a private key. Windows line ends are mended and the final line end is made sure of; the rest stays.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAKey> {
        let text = mended(bytes);
        let shown = std::str::from_utf8(&text).map_err(|_| NotAKey::Unknown)?;
        if shown.starts_with("ssh-") || shown.starts_with("ecdsa-") {
            return Err(NotAKey::Public);
        }
        if shown.contains("\\n") {
            return Err(NotAKey::EscapedLineEnds);
        }
        if shown.contains("Proc-Type: 4,ENCRYPTED") || shown.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(NotAKey::Passphrase);
        }
        let (kind, public) = match PrivateKey::from_openssh(shown) {
            Ok(key) if key.is_encrypted() => return Err(NotAKey::Passphrase),
            Ok(key) => (kind(&key.algorithm()).ok_or(NotAKey::Unknown)?, key.public_key().to_openssh().ok()),
            Err(_) => (older_kind(&text).ok_or(NotAKey::Unknown)?, None),
        };
        Ok(Self { text, public, kind })
    }

    fn file_name(&self) -> String {
        format!("id_{}", self.kind)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl NotAKey {
    /// What to do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::EscapedLineEnds => "write the key with real line ends, for example from the file itself",
            Self::Passphrase => "store a key without a passphrase: `ssh-keygen -p -N '' -f key`",
            Self::Public => "store the file without `.pub`",
            Self::Unknown => "store the private key as `ssh-keygen` writes it",
        }
    }
}

impl fmt::Display for NotAKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::EscapedLineEnds => "is a key whose line ends are written as the two characters \\n",
            Self::Passphrase => "is passphrase protected",
            Self::Public => "is a public key",
            Self::Unknown => "is not a private SSH key",
        })
    }
}

fn mended(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    let mut rest = bytes.trim_ascii().iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte != b'\r' || rest.peek() != Some(&&b'\n') {
            text.push(*byte);
        }
    }
    text.push(b'\n');
    text
}

/// The word in the names of key files (ssh-keygen(1)).
fn kind(algorithm: &Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Dsa => Some("dsa"),
        Algorithm::Ecdsa { .. } => Some("ecdsa"),
        Algorithm::Ed25519 => Some("ed25519"),
        Algorithm::Rsa { .. } => Some("rsa"),
        Algorithm::SkEcdsaSha2NistP256 => Some("ecdsa_sk"),
        Algorithm::SkEd25519 => Some("ed25519_sk"),
        _ => None,
    }
}

/// The kind of a key in one of the forms before OpenSSH's own: PKCS#1, SEC 1, PKCS#8 (RFC 8017, 5915, 5208).
fn older_kind(text: &[u8]) -> Option<&'static str> {
    /// Object identifiers as DER has them: rsaEncryption, ecPublicKey, Ed25519.
    const IDENTIFIERS: [(&[u8], &str); 3] = [
        (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], "rsa"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], "ecdsa"),
        (&[0x2b, 0x65, 0x70], "ed25519"),
    ];
    /// The algorithm stands before the key, within these first bytes.
    const HEAD: usize = 32;
    let (section, content) = from_buf(&mut &*text).ok()??;
    let content = Zeroizing::new(content);
    match section {
        SectionKind::RsaPrivateKey => Some("rsa"),
        SectionKind::EcPrivateKey => Some("ecdsa"),
        SectionKind::PrivateKey => {
            let head = content.get(..HEAD).unwrap_or(&content);
            let is_in_head =
                |identifier: &[u8]| head.windows(identifier.len()).any(|window| window == identifier);
            IDENTIFIERS.iter().find(|(identifier, _)| is_in_head(identifier)).map(|(_, kind)| *kind)
        }
        _ => None,
    }
}

/// Places a key, its public half, and a note of what was written, so that a later start knows its own files.
pub(super) fn place(
    secret: Accepted<'_>,
    config: &Config,
    home: &Home,
    placed: &mut Placed,
) -> Result<(), Problem> {
    let name = secret.entry.name.as_str();
    let key = Key::parse(secret.value.secret.expose()).map_err(|why| not_a_key(name, why))?;
    let path = path_of(&key, secret, home)?;
    if secret.entry.rule.path.is_none() && accounts::differ(home) {
        placed.warnings.push(two_homes(name, home));
    }
    let refused = |errno| cannot_place(name, &path, errno);
    let (folder, file_name) = folder(&path, placed).map_err(refused)?;
    if !files::is_in_memory(&folder).map_err(refused)? && !config.allow_disk {
        placed.warnings.push(key_on_disk(name, &path));
    }
    let target = Target { folder: &folder, path: &path, secret: name };
    target.write(&file_name, &key.text, 0o600, placed)?;
    if let Some(public) = &key.public {
        let public = format!("{public}\n");
        target.write(&format!("{file_name}.pub"), public.as_bytes(), 0o644, placed)?;
    }
    placed.notes.push(format!("{name}: placed as {}", escaped(path.as_os_str().as_encoded_bytes())));
    Ok(())
}

/// Whether a key has a place, and no foreign file is there.
pub(super) fn check(secret: Accepted<'_>, home: &Home) -> Result<(), Problem> {
    let name = secret.entry.name.as_str();
    let key = Key::parse(secret.value.secret.expose()).map_err(|why| not_a_key(name, why))?;
    let path = path_of(&key, secret, home)?;
    match there(&path, &key.text) {
        There::Foreign => Err(foreign(name, &path)),
        There::Nothing | There::Ours | There::Same => Ok(()),
    }
}

fn path_of(key: &Key, secret: Accepted<'_>, home: &Home) -> Result<PathBuf, Problem> {
    if let Some(path) = &secret.entry.rule.path {
        return Ok(path.clone());
    }
    let home = home.path().ok_or_else(|| homeless(secret.entry.name.as_str()))?;
    Ok(home.join(".ssh").join(key.file_name()))
}

/// The folder of a key: made with 0700, and narrowed to it when it is ours.
fn folder(path: &Path, placed: &mut Placed) -> Result<(OwnedFd, String), Errno> {
    let parent = path.parent().ok_or(Errno::INVAL)?;
    let file_name = path.file_name().and_then(|name| name.to_str()).ok_or(Errno::INVAL)?;
    match fs::DirBuilder::new().mode(0o700).create(parent) {
        Ok(()) => placed.created.push(parent.to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
    let folder =
        rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let state = rustix::fs::fstat(&folder)?;
    let is_ours = state.st_uid == rustix::process::geteuid().as_raw();
    if is_ours && state.st_mode & 0o7777 != 0o700 && parent.ends_with(".ssh") {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok((folder, file_name.to_owned()))
}

/// Where a key's files go.
struct Target<'a> {
    folder: &'a OwnedFd,
    path: &'a Path,
    secret: &'a str,
}

impl Target<'_> {
    /// Writes a file, unless it is there already; a foreign file is never replaced.
    fn write(&self, name: &str, bytes: &[u8], mode: u32, placed: &mut Placed) -> Result<(), Problem> {
        let path = self.path.with_file_name(name);
        let note = note_name(name);
        match there(&path, bytes) {
            There::Nothing => placed.created.extend([path.clone(), path.with_file_name(&note)]),
            There::Same => return self.narrow(&path, mode),
            There::Ours => {}
            There::Foreign => return Err(foreign(self.secret, &path)),
        }
        let refused = |errno| cannot_place(self.secret, &path, errno);
        atomic::write(self.folder, name, bytes, mode).map_err(refused)?;
        let state = path.symlink_metadata().map_err(|_| refused(Errno::IO))?;
        atomic::write(self.folder, &note, described(&state).as_bytes(), 0o600).map_err(refused)
    }

    fn narrow(&self, path: &Path, mode: u32) -> Result<(), Problem> {
        let is_right = path.symlink_metadata().is_ok_and(|state| state.mode() & 0o7777 == mode);
        if is_right {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| {
            cannot_place(self.secret, path, Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })
    }
}

/// What is where a file shall go.
enum There {
    /// Something that cryokey did not write.
    Foreign,
    /// No file.
    Nothing,
    /// An earlier file of ours.
    Ours,
    /// The same content.
    Same,
}

fn there(path: &Path, bytes: &[u8]) -> There {
    match path.symlink_metadata() {
        Err(_) => There::Nothing,
        Ok(state) if state.is_file() && has_content(path, bytes) => There::Same,
        Ok(state) if state.is_file() && is_noted(path, &state) => There::Ours,
        Ok(_) => There::Foreign,
    }
}

fn foreign(secret: &str, path: &Path) -> Problem {
    let path = escaped(path.as_os_str().as_encoded_bytes());
    Problem::new(
        Exit::CannotCreate,
        "foreign-file",
        secret,
        format!("{secret}: {path} is there with another content, and cryokey did not write it"),
        "remove that file if it is not needed, or give the key another `path` in the manifest",
    )
}

fn has_content(path: &Path, bytes: &[u8]) -> bool {
    bounded::read_path(path).is_ok_and(|(there, _)| *Zeroizing::new(there) == *bytes)
}

/// The file that tells a later start which file was ours: inode, size and time of last change, nothing of its
/// content.
fn note_name(name: &str) -> String {
    format!(".{name}.cryokey")
}

fn described(state: &fs::Metadata) -> String {
    format!("{} {} {}.{}\n", state.ino(), state.size(), state.mtime(), state.mtime_nsec())
}

fn is_noted(path: &Path, state: &fs::Metadata) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let note = bounded::read_path(&path.with_file_name(note_name(name)));
    note.is_ok_and(|(noted, _)| noted == described(state).as_bytes())
}

fn not_a_key(name: &str, why: NotAKey) -> Problem {
    Problem::new(Exit::Value, "format", name, format!("{name} {why}"), why.fix())
}

fn homeless(name: &str) -> Problem {
    let uid = rustix::process::geteuid().as_raw();
    Problem::new(
        Exit::CannotCreate,
        "no-home",
        name,
        format!(
            "{name} has no place: HOME is not set to an absolute path, and uid {uid} has none in /etc/passwd"
        ),
        "set HOME, or give the key a `path` in the manifest",
    )
}

fn two_homes(name: &str, home: &Home) -> Problem {
    let shown = |path: &Option<PathBuf>| {
        path.as_ref()
            .map(|path| escaped(path.as_os_str().as_encoded_bytes()).into_owned())
            .unwrap_or_default()
    };
    Problem::new(
        Exit::CannotCreate,
        "two-homes",
        name,
        format!(
            "{name} is placed below HOME={}, and /etc/passwd says {}, where ssh looks",
            shown(&home.variable),
            shown(&home.account)
        ),
        "let the two agree, or point ssh to the key with `-i`",
    )
}

fn key_on_disk(name: &str, path: &Path) -> Problem {
    let shown = escaped(path.as_os_str().as_encoded_bytes());
    Problem::new(
        Exit::CannotCreate,
        "disk",
        name,
        format!("{name} is written to {shown}, which is on a disk"),
        "mount a tmpfs there to keep it in memory",
    )
}

fn cannot_place(name: &str, path: &Path, errno: Errno) -> Problem {
    let shown = escaped(path.as_os_str().as_encoded_bytes());
    Problem::new(
        Exit::CannotCreate,
        "cannot-create",
        name,
        format!("{name} cannot be placed as {shown}: {}", std::io::Error::from(errno)),
        "make the folder writable for us (a tmpfs, where the root file system is read-only), or change `path`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test and used nowhere else.
    const ED25519: &str = include_str!("../../tests/data/id_ed25519");
    const RSA_PKCS1: &str = include_str!("../../tests/data/id_rsa.pkcs1");
    const EC_PKCS8: &str = include_str!("../../tests/data/id_ecdsa.pkcs8");
    const PASSPHRASE: &str = include_str!("../../tests/data/id_ed25519.passphrase");

    fn kind_of(text: &str) -> Result<&'static str, NotAKey> {
        Key::parse(text.as_bytes()).map(|key| key.kind)
    }

    #[test]
    fn the_kind_names_the_file_in_every_form_that_openssh_reads() {
        assert_eq!(kind_of(ED25519), Ok("ed25519"));
        assert_eq!(kind_of(RSA_PKCS1), Ok("rsa"));
        assert_eq!(kind_of(EC_PKCS8), Ok("ecdsa"));
    }

    #[test]
    fn a28_a_missing_last_line_end_is_added() {
        let key = Key::parse(ED25519.trim_end().as_bytes()).unwrap();
        assert_eq!(&**key.text, ED25519.as_bytes());
        assert!(key.public.unwrap().starts_with("ssh-ed25519 "));
    }

    #[test]
    fn a29_windows_line_ends_are_mended_and_escaped_ones_are_refused() {
        let key = Key::parse(ED25519.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!(&**key.text, ED25519.as_bytes());
        assert_eq!(kind_of(&ED25519.replace('\n', "\\n")), Err(NotAKey::EscapedLineEnds));
    }

    #[test]
    fn a30_a_key_with_a_passphrase_is_refused_by_that_word() {
        assert_eq!(kind_of(PASSPHRASE), Err(NotAKey::Passphrase));
        let old = RSA_PKCS1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1);
        assert_eq!(kind_of(&old), Err(NotAKey::Passphrase));
    }

    #[test]
    fn what_is_no_private_key_is_said_to_be_what_it_is() {
        assert_eq!(kind_of("ssh-ed25519 AAAA x"), Err(NotAKey::Public));
        assert_eq!(kind_of("hunter2"), Err(NotAKey::Unknown));
        assert_eq!(kind_of(&ED25519.replace('b', "!")), Err(NotAKey::Unknown));
    }
}
