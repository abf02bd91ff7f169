//! What the probe does besides looking around.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, sighandler_t};

/// What TERM ends the probe with; the handler can only read what is in place already.
static CODE_ON_TERM: AtomicI32 = AtomicI32::new(0);

/// TERM ends the probe with this code; HUP, USR1 and USR2 are printed.
pub(crate) fn obey_signals(code: i32) {
    CODE_ON_TERM.store(code, Ordering::Relaxed);
    handle(libc::SIGTERM, end);
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        handle(signal, name);
    }
}

pub(crate) fn ignore_term() {
    // SAFETY: installs no handler.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}

fn handle(signal: c_int, handler: extern "C" fn(c_int)) {
    // SAFETY: the handlers below call nothing but functions that are async-signal-safe.
    unsafe { libc::signal(signal, handler as *const () as sighandler_t) };
}

extern "C" fn end(_: c_int) {
    // SAFETY: _exit(2) is async-signal-safe, and an atomic load takes no lock.
    unsafe { libc::_exit(CODE_ON_TERM.load(Ordering::Relaxed)) }
}

extern "C" fn name(signal: c_int) {
    say(match signal {
        libc::SIGHUP => b"HUP\n",
        libc::SIGUSR1 => b"USR1\n",
        _ => b"USR2\n",
    });
}

extern "C" fn end_daemon(_: c_int) {
    say(b"daemon TERM\n");
    // SAFETY: _exit(2) is async-signal-safe.
    unsafe { libc::_exit(0) }
}

/// To standard output, from a handler.
fn say(line: &[u8]) {
    // SAFETY: write(2) is async-signal-safe, and reads as many bytes as the slice has.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Processes that have lost their parent when they end.
pub(crate) fn leave_orphans(number: u32) {
    (0..number).for_each(|_| fork_twice(|| ()));
}

/// Processes in sessions of their own that have lost their parent.
pub(crate) fn leave_daemons(number: u32) {
    // Before the first of them exists, so that none is ended without a word.
    handle(libc::SIGTERM, end_daemon);
    (0..number).for_each(|_| fork_twice(stay));
    // SAFETY: installs no handler.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
}

fn stay() {
    // SAFETY: takes nothing.
    unsafe { libc::setsid() };
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// The process in between is buried here, so that only the last one is left to PID 1.
fn fork_twice(act: impl Fn()) {
    // SAFETY: one thread, so the children may do anything.
    unsafe {
        match libc::fork() {
            0 => {
                if libc::fork() == 0 {
                    act();
                }
                libc::_exit(0)
            }
            child => libc::waitpid(child, std::ptr::null_mut(), 0),
        }
    };
}

/// Whether this process can get uid or gid 0. A process that can has it from then on.
pub(crate) fn become_root() -> bool {
    // SAFETY: both take a number.
    unsafe { libc::seteuid(0) == 0 || libc::setegid(0) == 0 }
}

/// A page that is not written to takes no memory.
pub(crate) fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
    }
}

/// To standard output, and nothing else. The one way in which the probe shows values.
pub(crate) fn print(path: &Path) -> ExitCode {
    let content = if path.ends_with("mem") { memory(path) } else { fs::read(path) };
    match content.and_then(|bytes| io::stdout().write_all(&bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// What `/proc/PID/mem` has where that process can write: no program text.
fn memory(path: &Path) -> io::Result<Vec<u8>> {
    let (memory, mut bytes) = (File::open(path)?, Vec::new());
    for line in fs::read_to_string(path.with_file_name("maps"))?.lines() {
        let Some((from, to)) = writable(line) else { continue };
        let mut part = vec![0; usize::try_from(to - from).unwrap_or_default()];
        memory.read_exact_at(&mut part, from)?;
        bytes.append(&mut part);
    }
    Ok(bytes)
}

/// `7ffd5000-7ffd6000 rw-p …`
fn writable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-').filter(|_| rest.starts_with("rw"))?;
    Some((address(from)?, address(to)?))
}

fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
