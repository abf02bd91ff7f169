//! Other tools doing the same job: 16 secrets from the simplest local source that each has, then the app.

use std::fmt::Write;
use std::path::Path;

use crate::names::NAMES;
use crate::secrets::{self, Directory, Secrets};
use crate::subject::Subject;

/// The tool by its name, with the configuration it needs written beside the secrets.
pub(crate) fn subject(
    name: &str,
    program: &Path,
    directory: &Directory,
    from: &Secrets,
) -> Result<Subject, String> {
    let own = directory.path.join(name);
    std::fs::create_dir(&own).map_err(|error| format!("{}: {error}", own.display()))?;
    match name {
        "fnox" => fnox(program, &own),
        "secretspec" => secretspec(program, &own),
        "teller" => teller(program, &own),
        unknown => {
            Err(format!("{unknown} is unknown, so nothing was created from {}", from.directory.display()))
        }
    }
}

fn lines(line: impl Fn(&str) -> String) -> String {
    NAMES.iter().fold(String::new(), |mut text, name| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(name));
        text
    })
}

fn dotenv(own: &Path) -> Result<(), String> {
    secrets::write(&own.join(".env"), &lines(|name| format!("{name}={}", secrets::value(name))))
}

/// Its `plain` provider keeps the values in its own configuration; nothing it has is quicker.
fn fnox(program: &Path, own: &Path) -> Result<Subject, String> {
    let secret =
        |name: &str| format!("{name} = {{ provider = \"plain\", value = \"{}\" }}", secrets::value(name));
    let text = format!("[providers]\nplain = {{ type = \"plain\" }}\n\n[secrets]\n{}", lines(secret));
    secrets::write(&own.join("fnox.toml"), &text)?;
    Ok(Subject::new("fnox", program, own).args(&["exec", "--"]))
}

fn secretspec(program: &Path, own: &Path) -> Result<Subject, String> {
    dotenv(own)?;
    let secret = |name: &str| format!("{name} = {{ description = \"{name}\", required = true }}");
    let head = "[project]\nname = \"bench\"\nrevision = \"1.0\"\n\n[profiles.default]\n";
    secrets::write(&own.join("secretspec.toml"), &format!("{head}{}", lines(secret)))?;
    Ok(Subject::new("secretspec", program, own).args(&["run", "--provider", "dotenv", "--"]))
}

fn teller(program: &Path, own: &Path) -> Result<Subject, String> {
    dotenv(own)?;
    let text = "providers:\n  bench:\n    kind: dotenv\n    maps:\n      - id: bench\n        path: .env\n";
    secrets::write(&own.join(".teller.yml"), text)?;
    Ok(Subject::new("teller", program, own).args(&["run", "--"]))
}
