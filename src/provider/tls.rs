//! TLS of the remote providers: whom cryokey trusts, and as whom it presents itself. Nothing here runs before a
//! client is built.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use crate::environ::Environ;
use crate::escape::escaped;
use crate::secret::Secret;
use crate::system::read::{self, ReadError};

/// More files than this in one directory of certificates are a wrong directory.
const MOST_FILES: usize = 4_096;

/// Whose certificates are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The roots that are part of cryokey.
    #[default]
    BuiltIn,
    /// Those in these files and directories, and no others.
    Files {
        /// PEM files, or directories of them.
        paths: Vec<PathBuf>,
        /// The variable or key that named them, for messages.
        named_by: &'static str,
    },
    /// Those in this text, and no others.
    Text(PemText),
}

/// Where something in PEM form is.
#[derive(Debug, Clone)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// In a text that has been read already.
    Text(PemText),
}

/// A text in PEM form, which may contain a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemText {
    /// The text.
    pub text: Arc<Secret>,
    /// The key that held it, for messages.
    pub named_by: &'static str,
}

/// The certificate and key that cryokey presents to a server that asks for them.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM: the certificate, then those that lead to its root.
    pub certificate: Pem,
    /// PEM: PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    pub key: Pem,
    /// The variable or key that named them, for messages.
    pub named_by: &'static str,
}

/// Why TLS cannot be set up: a configuration error, except for a library that refuses its own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSetupError {
    /// A file that TLS was told to use cannot be used.
    File {
        /// The file or directory.
        path: PathBuf,
        /// The variable or key that named it.
        named_by: &'static str,
        /// Why it cannot be used.
        fault: TlsFileFault,
    },
    /// A text that TLS was told to use cannot be used.
    Text {
        /// The key that held it.
        named_by: &'static str,
        /// Why it cannot be used.
        fault: TlsFileFault,
    },
    /// The library refused its own cipher suites: a bug.
    Library,
}

/// Why a file cannot be used for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFileFault {
    /// It cannot be read.
    Unreadable(ReadError),
    /// It holds no certificate in PEM form.
    NoCertificate,
    /// One of its certificates cannot be parsed.
    BadCertificate,
    /// It holds no private key in PEM form without a passphrase.
    NoKey,
    /// The private key cannot be parsed, or is of a kind that TLS does not use.
    BadKey,
    /// The private key belongs to another certificate.
    KeyMismatch,
}

impl Trust {
    /// An explicit choice overrides `SSL_CERT_FILE` and `SSL_CERT_DIR`, which override the built-in roots.
    #[must_use]
    pub fn chosen(explicit: Option<(PathBuf, &'static str)>, environ: &Environ) -> Self {
        if let Some((path, named_by)) = explicit {
            return Self::Files { paths: vec![path], named_by };
        }
        let file = environ.path("SSL_CERT_FILE");
        let directories = environ.set("SSL_CERT_DIR").map(directories).unwrap_or_default();
        match (file, directories) {
            (None, directories) if directories.is_empty() => Self::BuiltIn,
            (None, paths) => Self::Files { paths, named_by: "SSL_CERT_DIR" },
            (Some(file), directories) => {
                let named_by =
                    if directories.is_empty() { "SSL_CERT_FILE" } else { "SSL_CERT_FILE, SSL_CERT_DIR" };
                Self::Files { paths: std::iter::once(file).chain(directories).collect(), named_by }
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::BuiltIn => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Files { paths, named_by } => {
                for path in paths {
                    add(&mut roots, path).map_err(|fault| unusable(path, named_by, fault))?;
                }
            }
            Self::Text(pem) => {
                let PemText { text, named_by } = pem;
                add_all(&mut roots, text).map_err(|fault| TlsSetupError::Text { named_by, fault })?;
            }
        }
        Ok(roots)
    }
}

/// `SSL_CERT_DIR` is a list, as `PATH` is.
fn directories(list: &[u8]) -> Vec<PathBuf> {
    let parts = list.split(|byte| *byte == b':').filter(|part| !part.is_empty());
    parts.map(|part| PathBuf::from(std::ffi::OsStr::from_bytes(part))).collect()
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsFileFault> {
    if path.is_dir() { add_directory(roots, path) } else { add_all(roots, &read_file(path)?) }
}

/// The operator named this PEM, so every certificate in it counts.
fn add_all(roots: &mut RootCertStore, pem: &Secret) -> Result<(), TlsFileFault> {
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_| TlsFileFault::BadCertificate)?;
    }
    Ok(())
}

/// A directory also holds links and other files; one usable certificate is enough.
fn add_directory(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsFileFault> {
    let unreadable = |error: std::io::Error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        TlsFileFault::Unreadable(ReadError::Os(errno))
    };
    let before = roots.len();
    for entry in path.read_dir().map_err(unreadable)?.take(MOST_FILES) {
        let path = entry.map_err(unreadable)?.path();
        let found = read_file(&path).and_then(|pem| certificates(&pem)).unwrap_or_default();
        roots.add_parsable_certificates(found);
    }
    if roots.len() == before { Err(TlsFileFault::NoCertificate) } else { Ok(()) }
}

fn read_file(path: &Path) -> Result<Secret, TlsFileFault> {
    read::read_path(path).map(|(pem, _)| Secret::new(pem)).map_err(TlsFileFault::Unreadable)
}

fn certificates(pem: &Secret) -> Result<Vec<CertificateDer<'static>>, TlsFileFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsFileFault::NoCertificate),
        Ok(found) => Ok(found),
        Err(_) => Err(TlsFileFault::BadCertificate),
    }
}

fn unusable(path: &Path, named_by: &'static str, fault: TlsFileFault) -> TlsSetupError {
    TlsSetupError::File { path: path.to_owned(), named_by, fault }
}

/// TLS 1.2 and 1.3, with X25519MLKEM768 offered first. The cryptography is passed in: the process-wide default panics
/// where two crates bring one each.
pub fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|_| TlsSetupError::Library)?
        .with_root_certificates(trust.roots()?);
    let Some(identity) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let bad_certificate = |fault| identity.certificate.unusable(identity.named_by, fault);
    let bad_key = |fault| identity.key.unusable(identity.named_by, fault);
    let chain = identity.certificate.read().and_then(|pem| certificates(&pem)).map_err(bad_certificate)?;
    let key = identity.key.read().and_then(|pem| private_key(&pem)).map_err(bad_key)?;
    // This also compares the two: a key of another certificate is refused here, not in a handshake.
    let config = builder.with_client_auth_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => bad_key(TlsFileFault::KeyMismatch),
        rustls::Error::InvalidCertificate(_) => bad_certificate(TlsFileFault::BadCertificate),
        _ => bad_key(TlsFileFault::BadKey),
    })?;
    Ok(Arc::new(config))
}

fn private_key(pem: &Secret) -> Result<PrivateKeyDer<'static>, TlsFileFault> {
    PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsFileFault::NoKey,
        _ => TlsFileFault::BadKey,
    })
}

impl Pem {
    /// The text.
    pub fn read(&self) -> Result<Secret, TlsFileFault> {
        match self {
            Self::File(path) => read_file(path),
            Self::Text(pem) => Ok(pem.text.duplicate()),
        }
    }

    /// `named_by` is what named the file.
    fn unusable(&self, named_by: &'static str, fault: TlsFileFault) -> TlsSetupError {
        match self {
            Self::File(path) => unusable(path, named_by, fault),
            Self::Text(PemText { named_by, .. }) => TlsSetupError::Text { named_by, fault },
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Display for TlsSetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, named_by, fault } => {
                write!(formatter, "{named_by}: {} {fault}", escaped(path.as_os_str().as_bytes()))
            }
            Self::Text { named_by, fault } => write!(formatter, "{named_by} {fault}"),
            Self::Library => formatter.write_str("TLS cannot be set up: a bug in cryokey"),
        }
    }
}

impl fmt::Display for TlsFileFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable(ReadError::Os(errno)) => return write!(formatter, "cannot be read: {errno}"),
            Self::Unreadable(ReadError::NotRegular(what)) => return write!(formatter, "is {what}"),
            Self::Unreadable(ReadError::TooLarge) => "is larger than 1 MiB",
            Self::Unreadable(ReadError::Changing) => "changed each time it was read",
            Self::NoCertificate => "contains no PEM certificate",
            Self::BadCertificate => "contains a certificate that cannot be parsed",
            Self::NoKey => "contains no PEM private key without a passphrase",
            Self::BadKey => "contains a private key that TLS cannot use",
            Self::KeyMismatch => "contains the private key of another certificate",
        })
    }
}
