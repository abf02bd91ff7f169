//! The state of the process before `main`, so that what the Rust runtime and cryokey change can be restored for the app.
//!
//! Rust's runtime ignores SIGPIPE and opens `/dev/null` on closed descriptors 0-2 before `main` runs, so the
//! original state must be recorded earlier. An entry of `.init_array` runs before that, even in a static program.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signals;

static IS_PID_1: AtomicBool = AtomicBool::new(false);
static WAS_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

// Miri would run it, but lacks the signal mask and prctl.
#[cfg(not(miri))]
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

#[cfg_attr(miri, expect(dead_code, reason = "see NOTE"))]
extern "C" fn note() {
    signals::note_inherited();
    signals::ignore_those_of_writes();
    for (descriptor, was_closed) in (0..).zip(&WAS_CLOSED) {
        was_closed.store(is_closed(descriptor), Ordering::Relaxed);
    }
    refuse_to_be_read();
    if std::process::id() == 1 {
        IS_PID_1.store(true, Ordering::Relaxed);
        // The kernel drops what arrives at PID 1 without a handler, unless it is blocked.
        signals::set_mask(signals::ALL);
    }
}

/// Whether cryokey was started as PID 1, also in its courier. PID 1 of a namespace has no default signal actions. It also
/// means a container, not a developer's shell.
#[must_use]
pub fn is_pid_1() -> bool {
    IS_PID_1.load(Ordering::Relaxed)
}

/// The environment strings exactly as the kernel passed them, in their original memory, including those without `=`,
/// duplicates, and those that are not UTF-8, which the standard library drops or hides. A copy of an inherited secret
/// would have to be wiped, so none is made.
#[must_use]
pub fn environment() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: `environ` is set by the C runtime before `.init_array` runs, and is null, or an array that ends with a
    // null pointer and holds NUL-terminated strings. The strings are on the initial stack, which stays until execve.
    // Array and strings never change: nothing in the program calls `setenv`, `putenv`, `unsetenv`, `set_var` or
    // `remove_var` (the last two are unsafe, so in cryokey the compiler allows them only in this crate),
    // and nothing writes over the strings, as programs do that change their title.
    unsafe { strings(environ) }
}

/// # Safety
///
/// The array is null, or ends with a null pointer and holds NUL-terminated strings that are neither changed nor
/// freed while the program runs.
unsafe fn strings(mut array: *const *const c_char) -> Vec<&'static CStr> {
    let mut strings = Vec::new();
    if array.is_null() {
        return strings;
    }
    // SAFETY: each step stays in the array, since it ends at the null pointer; the strings are as the caller promised.
    unsafe {
        while !(*array).is_null() {
            strings.push(CStr::from_ptr(*array));
            array = array.add(1);
        }
    }
    strings
}

/// Runs right before execve, so that the app starts as it would without cryokey. The signal mask is restored last, in
/// `exec`.
pub(crate) fn restore() {
    signals::restore_dispositions();
    for (descriptor, was_closed) in (0..).zip(&WAS_CLOSED) {
        if was_closed.load(Ordering::Relaxed) {
            // SAFETY: the runtime opened /dev/null here; no owned descriptor has this number.
            unsafe { libc::close(descriptor) };
        }
    }
}

fn is_closed(descriptor: c_int) -> bool {
    // SAFETY: F_GETFD takes no pointer and changes nothing.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) == -1 }
}

/// Not dumpable: no core file, and no other process of the same user can read memory or environment. execve makes
/// the app dumpable again.
pub(crate) fn refuse_to_be_read() {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri hides the environment of the machine")]
    fn the_environment_is_what_the_process_was_given() {
        let path = environment().into_iter().find(|entry| entry.to_bytes().starts_with(b"PATH="));
        assert!(path.is_some(), "cargo starts tests with a PATH");
    }

    #[test]
    fn strings_are_read_where_they_are_up_to_the_null_pointer() {
        let given = [c"A=1", c"no-equals", c"", c"B=\xff"];
        let array: Vec<*const c_char> =
            given.iter().map(|entry| entry.as_ptr()).chain([std::ptr::null()]).collect();
        // SAFETY: the array ends with a null pointer, the strings are literals.
        let read = unsafe { strings(array.as_ptr()) };
        assert_eq!(read, given);
        assert!(read.iter().zip(&given).all(|(read, given)| read.as_ptr() == given.as_ptr()));
    }

    #[test]
    fn an_environment_that_is_not_there_is_empty() {
        // SAFETY: null is allowed.
        assert!(unsafe { strings(std::ptr::null()) }.is_empty());
    }
}
