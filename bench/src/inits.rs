//! cryokey as the app's parent, compared with inits, which load no secrets; and what stays in memory.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::report::Figure;
use crate::secrets::Secrets;
use crate::subject::Subject;

/// Where Debian's packages put them, and what they need to be given.
const INITS: [(&str, &str, &[&str]); 3] = [
    ("tini", "/usr/bin/tini", &["-s", "--"]),
    ("dumb-init", "/usr/bin/dumb-init", &["--"]),
    ("catatonit", "/usr/bin/catatonit", &["--"]),
];

/// Long enough that what is only needed for the start has gone.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) fn supervised(program: &Path, secrets: &Secrets) -> Subject {
    Subject::new("cryokey, supervising", program, &secrets.directory)
        .args(&["run", "--supervise", "--"])
        .env("CRYOKEY_SECRETS_DIR", &secrets.directory)
}

/// Those that are installed, with what ours may take compared with them.
pub(crate) fn installed(secrets: &Secrets) -> Vec<(Subject, Option<f64>)> {
    let exists = |(_, program, _): &(&str, &str, &[&str])| Path::new(program).exists();
    let init = |(name, program, arguments): (&str, &str, &[&str])| {
        let subject = Subject::new(name, Path::new(program), &secrets.directory).args(arguments);
        (subject, (name == "tini").then_some(1.0))
    };
    INITS.into_iter().filter(exists).map(init).collect()
}

/// What a supervising process holds while the app runs.
pub(crate) fn memory(ours: &Subject, others: &[(Subject, Option<f64>)]) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for (index, subject) in std::iter::once(ours).chain(others.iter().map(|(other, _)| other)).enumerate() {
        let [resident, dirty] = held(subject)?;
        for (what, kib, most) in [("RSS", resident, 600.0), ("private dirty memory", dirty, 80.0)] {
            let name = format!("{what} of {} while the app runs, KiB", subject.name);
            figures.push(Figure::of(&name, kib, index == 0, most));
        }
    }
    Ok(figures)
}

/// `Rss` and `Private_Dirty` (`proc_pid_smaps(5)`), in KiB.
fn held(subject: &Subject) -> Result<[f64; 2], String> {
    let mut command = subject.command(Path::new("/usr/bin/sleep"))?;
    let running = command
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", subject.name))?;
    thread::sleep(SETTLED);
    let read = fs::read_to_string(format!("/proc/{}/smaps_rollup", running.id()));
    end(running);
    let smaps = read.map_err(|error| format!("{}: {error}; measure as root", subject.name))?;
    let field = |name: &str| {
        let line = smaps.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    let both = field("Rss:").zip(field("Private_Dirty:"));
    both.map(|(resident, dirty)| [resident, dirty])
        .ok_or_else(|| format!("{}: no sizes in smaps", subject.name))
}

/// By TERM, so that its child ends too.
fn end(mut running: Child) {
    let _ = Command::new("/bin/kill").arg(running.id().to_string()).status();
    let _ = running.wait();
}
