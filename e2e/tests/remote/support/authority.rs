//! Certificates, made when the tests run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::program::{command, run, try_run};

const NEW_KEY: [&str; 6] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];

/// A certificate authority that nobody trusts who was not told to.
pub(crate) struct Authority {
    directory: PathBuf,
    root: Certified,
}

/// A certificate and its key, as PEM files.
#[derive(Clone)]
pub(crate) struct Certified {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(directory: PathBuf) -> Result<Self, String> {
        try_run(&mut command("openssl", ["version"]))
            .map_err(|error| format!("openssl: {error}; to run it: apt-get install --yes openssl"))?;
        let root = self_signed(&directory, "root", &["-subj", "/CN=authority of the tests"]);
        Ok(Self { directory, root })
    }

    /// The file that makes others trust it.
    pub(crate) fn certificate(&self) -> &Path {
        &self.root.certificate
    }

    /// For a server with these names, such as `DNS:vault.example` and `IP:198.18.0.1`.
    pub(crate) fn server(&self, names: &[&str]) -> Certified {
        self.signed(&names.join(","), &["-addext", &alternatives(names)], "1")
    }

    /// The same, a day too old.
    pub(crate) fn expired(&self, names: &[&str]) -> Certified {
        self.signed(&format!("expired-{}", names.join(",")), &["-addext", &alternatives(names)], "-1")
    }

    /// For a server, signed by itself only.
    pub(crate) fn self_signed(&self, names: &[&str]) -> Certified {
        let file = format!("self-signed-{}", names.join(","));
        self_signed(&self.directory, &file, &["-subj", "/CN=server", "-addext", &alternatives(names)])
    }

    /// For a client with this common name.
    pub(crate) fn client(&self, name: &str) -> Certified {
        self.signed(name, &["-addext", "extendedKeyUsage=clientAuth", "-subj", &format!("/CN={name}")], "1")
    }

    /// By which an application proves who it is: signed by itself, with a key of RSA.
    pub(crate) fn application(&self, name: &str) -> Certified {
        let made = Certified::at(&self.directory, name);
        let mut line = command("openssl", ["req", "-x509", "-days", "2", "-newkey", "rsa:2048", "-nodes"]);
        line.args(["-subj", "/CN=application", "-keyout"]).arg(&made.key);
        run(line.arg("-out").arg(&made.certificate)).with(0);
        made
    }

    fn signed(&self, file: &str, extensions: &[&str], days: &str) -> Certified {
        let made = Certified::at(&self.directory, file);
        let request = self.directory.join(file).with_extension("request");
        let mut line = command("openssl", ["req", "-new", "-subj", "/CN=server"]);
        run(line.args(NEW_KEY).arg(&made.key).args(extensions).arg("-out").arg(&request)).with(0);
        let mut line = command("openssl", ["x509", "-req", "-copy_extensions", "copy", "-days", days, "-in"]);
        line.arg(&request).args(["-CA".as_ref(), self.root.certificate.as_os_str()]);
        line.args(["-CAkey".as_ref(), self.root.key.as_os_str()]);
        run(line.args(["-out".as_ref(), made.certificate.as_os_str()])).with(0);
        made
    }
}

impl Certified {
    fn at(directory: &Path, file: &str) -> Self {
        let path = |end| directory.join(format!("{file}.{end}"));
        Self { certificate: path("pem"), key: path("key") }
    }

    pub(crate) fn pem(&self) -> String {
        fs::read_to_string(&self.certificate).unwrap()
    }
}

fn self_signed(directory: &Path, file: &str, more: &[&str]) -> Certified {
    let made = Certified::at(directory, file);
    let mut line = command("openssl", ["req", "-x509", "-days", "2"]);
    line.args(NEW_KEY).arg(&made.key).args(more);
    run(line.args([OsStr::new("-out"), made.certificate.as_os_str()])).with(0);
    made
}

fn alternatives(names: &[&str]) -> String {
    format!("subjectAltName={}", names.join(","))
}
