//! Init holds nothing that could be read from it: the strings it was started with are overwritten, and there is no core
//! file. It has been non-dumpable since before `main`.

use std::ffi::c_char;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits core files to nothing, and returns the limit that the app is to have.
pub(crate) fn allow_no_core() -> Rlimit {
    let inherited = getrlimit(Resource::Core);
    // Lowering the soft limit cannot fail.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..inherited });
    inherited
}

pub(crate) fn restore_core_limit(inherited: Rlimit) {
    let _ = setrlimit(Resource::Core, inherited);
}

/// Overwrites the arguments, except the program's name, and the environment, as `/proc/PID/cmdline` and `environ` show
/// them.
///
/// # Safety
///
/// Nothing in this process may read these strings afterwards: what `environment` has returned is not to be used any
/// more. There is one thread.
pub(crate) unsafe fn erase_start_strings() {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    // SAFETY: as `startup::environment` says, `environ` is null or the array that the kernel made. Below it are the
    // pointers to the arguments and their number, as the ABI of the platform lays out the initial stack, and all strings
    // are in that stack, which is writable.
    unsafe {
        if environ.is_null() {
            return;
        }
        erase(environ);
        for argument in arguments_below(environ).into_iter().skip(1) {
            overwrite(argument);
        }
    }
}

/// # Safety
///
/// The array ends with a null pointer and leads to writable strings.
unsafe fn erase(mut array: *const *mut c_char) {
    // SAFETY: as the caller promised; each step stays in the array.
    unsafe {
        while !(*array).is_null() {
            overwrite(*array);
            array = array.add(1);
        }
    }
}

/// The argument pointers on the initial stack: a count, as many pointers, a null pointer, the environment's array.
///
/// # Safety
///
/// `environment` is that array.
unsafe fn arguments_below(environment: *const *mut c_char) -> Vec<*mut c_char> {
    let mut arguments = Vec::new();
    // SAFETY: the walk begins at the null pointer and ends at the count, which no pointer can equal, because no string is
    // at so low an address.
    unsafe {
        let mut below = environment.sub(2);
        while *below as usize != arguments.len() {
            arguments.push(*below);
            below = below.sub(1);
        }
    }
    arguments.reverse();
    arguments
}

/// # Safety
///
/// The string ends with a NUL and is writable.
unsafe fn overwrite(mut string: *mut c_char) {
    // SAFETY: as the caller promised. Volatile, so that it is not left out as a write that nobody reads.
    unsafe {
        while *string != 0 {
            string.write_volatile(0);
            string = string.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_of_an_array_are_overwritten_and_the_arguments_below_it_are_found() {
        let mut strings =
            ["cryokey", "run", "", "A=canary", "B="].map(|text| [text, "\0"].concat().into_bytes());
        let pointers = strings.each_mut().map(|string| string.as_mut_ptr().cast::<c_char>());
        let [program, first, second, a, b] = pointers;
        let null = std::ptr::null_mut();
        let count = std::ptr::without_provenance_mut(3);
        let stack = [count, program, first, second, null, a, b, null];
        // SAFETY: the array is laid out as the initial stack is, and the strings are writable and end with a NUL.
        let found = unsafe {
            let environment = stack.as_ptr().add(5);
            erase(environment);
            arguments_below(environment)
        };
        assert_eq!(found, [program, first, second]);
        assert_eq!(strings[0], b"cryokey\0");
        assert_eq!(strings[3..], [vec![0; 9], vec![0; 3]]);
    }
}
