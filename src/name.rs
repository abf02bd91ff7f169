//! Names of the app's variables, environments and colors, and how other names map to them.

use std::borrow::{Borrow, Cow};
use std::fmt;

/// Longer names are mistakes; the kernel's own limit is 128 KiB.
const LONGEST: usize = 255;

/// The name of a variable of the app: `[A-Z_][A-Z0-9_]*`, at most 255 bytes.
///
/// POSIX (XBD 8.1) gives upper case, digits and `_` to variables that programs use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(Cow<'static, str>);

/// Why a text is not a valid name, for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAName(pub &'static str);

impl EnvName {
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        check(text)?;
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// For names known at build time; a test parses every one of them.
    #[must_use]
    pub const fn built_in(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The name to which a key, a file or a Compose secret maps: without the prefix and one separator after it, in upper
    /// case, and with `_` for every byte outside `[A-Za-z0-9_]`.
    pub fn from_key(key: &str, prefix: &str) -> Result<Self, NotAName> {
        let rest = key.strip_prefix(prefix).unwrap_or(key);
        let rest = if prefix.is_empty() || rest.len() == key.len() { rest } else { without_separator(rest) };
        let legal = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
        let mapped: String = rest.bytes().map(|byte| char::from(legal(byte))).collect();
        Self::parse(&mapped)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a variable of this name changes what a process does before the program itself reads it, as those of the
    /// loader, shells, interpreters and proxies do. Such a name is delivered only if it is declared.
    #[must_use]
    pub fn is_dangerous(&self) -> bool {
        let name = self.as_str();
        DANGEROUS.binary_search(&name).is_ok()
            || DANGEROUS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name.ends_with("_PROXY")
    }
}

impl Borrow<str> for EnvName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Sorted. `docs/names.md` explains each group.
pub const DANGEROUS: &[&str] = &[
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "CORECLR_PROFILER_PATH",
    "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_STARTUP_HOOKS",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "JAVA_OPTS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LOCALDOMAIN",
    "LOCPATH",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "MALLOC_TRACE",
    "NIS_PATH",
    "NLSPATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZDIR",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

pub const DANGEROUS_PREFIXES: &[&str] =
    &["BASH_FUNC_", "COR_PROFILER", "CRYOKEY_", "DYLD_", "GIT_", "LD_", "PYTHON"];

/// The name of an environment or a color: letters, digits and `-`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant(Cow<'static, str>);

impl Variant {
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(NotAName("it must begin with a letter"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(NotAName("only letters, digits and `-` are allowed"));
        }
        if text.len() > LONGEST {
            return Err(NotAName("it is longer than 255 bytes"));
        }
        Ok(Self(Cow::Owned(text.to_ascii_lowercase())))
    }

    #[must_use]
    pub const fn built_in(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// In lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `STAGING_` for `staging`.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_") + "_"
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn check(text: &str) -> Result<(), NotAName> {
    if text.is_empty() {
        return Err(NotAName("it is empty"));
    }
    if text.len() > LONGEST {
        return Err(NotAName("it is longer than 255 bytes"));
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(NotAName("it must not begin with a digit"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(NotAName("only upper-case letters, digits and `_` are allowed"));
    }
    Ok(())
}

fn without_separator(text: &str) -> &str {
    text.strip_prefix(['/', '-', '_', '.']).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b04_what_is_no_variable_name_is_refused() {
        let long = "A".repeat(300);
        for text in ["", "A=B", "A\0", "A B", "A\n", "A-B", "A.B", "abc", "1A", "Ä", &long] {
            assert!(EnvName::parse(text).is_err(), "{text:?}");
        }
        assert!(EnvName::parse("_A1").is_ok());
    }

    #[test]
    fn b04_a_name_has_at_most_255_bytes() {
        assert!(EnvName::parse(&"A".repeat(255)).is_ok() && EnvName::parse(&"A".repeat(256)).is_err());
        assert!(Variant::parse(&"a".repeat(255)).is_ok() && Variant::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn what_does_not_begin_with_the_prefix_keeps_its_separator() {
        assert_eq!(EnvName::from_key("_key", "app").unwrap().as_str(), "_KEY");
        assert_eq!(EnvName::from_key("_key", "").unwrap().as_str(), "_KEY");
    }

    #[test]
    fn a_key_maps_to_its_name() {
        let mapped = |key, prefix| EnvName::from_key(key, prefix).map(|name| name.as_str().to_owned());
        assert_eq!(mapped("cryoprotect_supabase_url", "cryoprotect").unwrap(), "SUPABASE_URL");
        assert_eq!(mapped("cryoprotect_supabase_url", "cryoprotect_").unwrap(), "SUPABASE_URL");
        assert_eq!(mapped("prod/db-password", "prod").unwrap(), "DB_PASSWORD");
        assert_eq!(mapped("db.password", "").unwrap(), "DB_PASSWORD");
        assert!(mapped("1password", "").is_err());
    }

    #[test]
    fn b01_b02_b03_dangerous_names_are_known() {
        let names = [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "GCONV_PATH",
            "PATH",
            "HOME",
            "IFS",
            "SHELL",
            "BASH_ENV",
            "ENV",
            "PS4",
            "PROMPT_COMMAND",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "GIT_SSH_COMMAND",
            "DOTNET_STARTUP_HOOKS",
            "HTTPS_PROXY",
            "GLIBC_TUNABLES",
        ];
        for name in names {
            assert!(EnvName::built_in(name).is_dangerous(), "{name}");
        }
        assert!(EnvName::from_key("BASH_FUNC_x%%", "").unwrap().is_dangerous());
        assert!(!EnvName::built_in("DATABASE_URL").is_dangerous());
    }

    #[test]
    fn the_list_is_in_order_since_it_is_searched_by_halves() {
        assert!(DANGEROUS.is_sorted());
    }

    #[test]
    fn the_prefix_of_a_variant_is_a_legal_beginning_of_a_name() {
        assert_eq!(Variant::parse("Pre-Prod").unwrap().prefix(), "PRE_PROD_");
    }
}
