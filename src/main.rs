//! The binary: everything is in the library, so that tests and fuzz targets reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cryokey::main(std::env::args_os().skip(1))
}

// musl's allocator maps a page, unmaps it and maps it again, which costs a startup more than reading its secrets does.
// The price: musl's keeps its own data away from what is allocated and stops at a corrupted heap; this one has fewer
// such checks. Values are wiped before they are freed under either.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
