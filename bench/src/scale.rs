//! What many secrets cost: the same program, 16 to 10,000 files.

use std::path::Path;

use crate::measure::{self, Spread};
use crate::secrets::Directory;
use crate::subject::{self, Subject};

/// Numbers of files.
const SIZES: [u32; 4] = [16, 100, 1_000, 10_000];

/// How often each size is measured.
const ROUNDS: usize = 50;

pub(crate) struct Size {
    pub(crate) files: u32,
    pub(crate) time: Spread,
    pub(crate) memory: u64,
}

/// All sizes in turn, round by round, so that what else the machine does hits all alike.
///
/// 10,000 secrets of 100 bytes are about 1.2 MB of environment: under the kernel's limit of a quarter of the stack
/// limit, which is 2 MiB at the usual 8 MiB.
pub(crate) fn measure(program: &Path, app: &Path, directory: &Directory) -> Result<Vec<Size>, String> {
    eprintln!("{ROUNDS} rounds: {SIZES:?} files");
    let subjects = SIZES.map(|files| with_files(program, directory, files).map(|subject| (files, subject)));
    let subjects = subjects.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut times = vec![Vec::new(); subjects.len()];
    for _ in 0..=ROUNDS {
        for ((_, subject), times) in subjects.iter().zip(&mut times) {
            times.push(measure::run(subject, app)?.time);
        }
    }
    let size = |((files, subject), times): (&(u32, Subject), Vec<f64>)| {
        let warm = times.into_iter().skip(1).collect();
        Ok(Size { files: *files, time: Spread::of(warm), memory: measure::run(subject, app)?.memory })
    };
    subjects.iter().zip(times).map(size).collect()
}

fn with_files(program: &Path, directory: &Directory, files: u32) -> Result<Subject, String> {
    let (secrets, manifest) = directory.many(usize::try_from(files).map_err(|error| error.to_string())?)?;
    Ok(subject::ours(program, &secrets).env("CRYOKEY_MANIFEST", manifest))
}

/// Microseconds that each further secret costs, from one size to the next.
pub(crate) fn steps(sizes: &[Size]) -> Vec<f64> {
    let step = |pair: &[Size]| match pair {
        [small, large] => {
            Some((large.time.median - small.time.median) * 1000.0 / f64::from(large.files - small.files))
        }
        _ => None,
    };
    sizes.windows(2).filter_map(step).collect()
}
