//! `cryokey install`: copies the running binary into a directory that another container shares.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::system::write::{self, write as write_file};

const NAME: &str = "cryokey";

/// The file that this process runs, even if another one has its name by now.
const RUNNING: &str = "/proc/self/exe";

/// Any user may execute it, and only its owner may read it: docs/delivery.md says why.
const MODE: u32 = 0o711;

/// Copies the running binary to `DIR/cryokey`. A file of that name is replaced; a failure changes nothing.
pub(super) fn run(directory: &Path, log: &Logger) -> Result<(), Failure> {
    let shown = escaped_path(&directory.join(NAME));
    copy(directory).map_err(|problem| Failure::one(Phase::Deliver, problem))?;
    log.info(format_args!("cryokey {} installed as {shown}", env!("CARGO_PKG_VERSION")));
    Ok(())
}

fn copy(directory: &Path) -> Result<(), Problem> {
    let refused = |errno| refused(directory, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open: OwnedFd = rustix::fs::open(directory, flags, Mode::empty()).map_err(refused)?;
    let bytes = running().map_err(|error| unreadable(&error))?;
    write_file(&open, NAME, &bytes, MODE).map_err(refused)
}

fn running() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(RUNNING)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(directory: &Path, errno: Errno) -> Problem {
    let path = escaped_path(directory);
    let uid = rustix::process::geteuid().as_raw();
    let fix = match errno {
        Errno::NOENT => format!("mount a volume at {path}, such as an `emptyDir`"),
        Errno::NOTDIR => "give the directory, not the path of the file in it".into(),
        Errno::ISDIR => format!("remove the directory {path}/{NAME}, or give another one"),
        Errno::NOSPC | Errno::DQUOT => "raise the volume's `sizeLimit`".into(),
        _ => format!("give a directory that uid {uid} can write to, such as an `emptyDir`"),
    };
    let what = format!("cryokey cannot be installed in {path}: {}", write::why(errno));
    Problem::new(Reason::CannotCreate, path, what, fix)
}

fn unreadable(error: &io::Error) -> Problem {
    let uid = rustix::process::geteuid().as_raw();
    let (reason, fix) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            Reason::Denied,
            format!("give the binary mode 0755 in the image that installs it, so that uid {uid} can read it"),
        ),
        _ => (Reason::Io, "mount /proc in this container, and check its file system".into()),
    };
    Problem::new(reason, NAME, format!("cryokey cannot read its own binary ({RUNNING}): {error}"), fix)
}
