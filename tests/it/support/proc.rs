//! What /proc shows of a process.

use std::fs;
use std::os::unix::fs::FileExt as _;

/// The children of a process of one thread; none of a process that has gone.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// What is in the mappings of a process whose lines in `maps` (`proc_pid_maps(5)`) are so, as far as it can be read.
pub(crate) fn memory(process: u32, is_so: impl Fn(&str) -> bool) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| is_so(line)) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            all.extend(bytes);
        }
    }
    assert!(!all.is_empty(), "no memory could be read");
    all
}
