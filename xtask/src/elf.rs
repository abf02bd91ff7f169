//! Asks an ELF file whether it needs a dynamic loader.

use std::fs;
use std::path::Path;

/// The program header that names the loader.
const PT_INTERP: u32 = 3;

/// Fails unless the file is a 64-bit little-endian ELF program without an interpreter: such a program needs nothing
/// from the image it is copied into.
pub(crate) fn must_be_static(path: &Path) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match program_headers(&bytes) {
        None => Err(format!("{}: not a 64-bit little-endian ELF program", path.display())),
        Some(kinds) if kinds.contains(&PT_INTERP) => {
            Err(format!("{}: needs a dynamic loader, so it is not static", path.display()))
        }
        Some(_) => Ok(()),
    }
}

/// The type of each program header.
fn program_headers(bytes: &[u8]) -> Option<Vec<u32>> {
    let is_elf64_little = bytes.starts_with(b"\x7fELF\x02\x01");
    let start = usize::try_from(u64::from_le_bytes(field(bytes, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(field(bytes, 54)?));
    let count = usize::from(u16::from_le_bytes(field(bytes, 56)?));
    let kinds = (0..count).map(|index| Some(u32::from_le_bytes(field(bytes, start + index * size)?)));
    is_elf64_little.then(|| kinds.collect()).flatten()
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_is_dynamic_and_seen_as_such() {
        let own = std::env::current_exe().unwrap();
        assert!(must_be_static(&own).unwrap_err().contains("dynamic loader"));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(program_headers(b"\x7fELF\x02\x01"), None);
        assert_eq!(program_headers(&[0; 64]), None);
    }
}
