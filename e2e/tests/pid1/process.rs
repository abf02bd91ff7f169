//! Processes as `/proc` shows them.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// Asks again and again until there is an answer, or patience ends.
pub(crate) fn until<T>(patience: Duration, ask: impl FnMut() -> Option<T>) -> Option<T> {
    until_every(Duration::from_millis(1), patience, ask)
}

pub(crate) fn until_every<T>(
    pause: Duration,
    patience: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        match ask() {
            None if Instant::now() < end => sleep(pause),
            answer => return answer,
        }
    }
}

/// The interpreter itself: a wrapper in PATH takes longer than most cases.
pub(crate) fn python() -> &'static str {
    static PYTHON: LazyLock<String> = LazyLock::new(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    });
    &PYTHON
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    listed.split_whitespace().map(|number| pid(number.parse().unwrap())).collect()
}

/// Also of a zombie.
pub(crate) fn name(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// `R`, `S`, `T`, `Z`, …; nothing if there is no such process.
pub(crate) fn state(pid: Pid) -> Option<char> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit_once(") ")?.1.chars().next()
}

/// How often the process was put on a processor, all threads together.
pub(crate) fn switches(pid: Pid) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    statuses
        .map(|status| {
            number(&status, "voluntary_ctxt_switches") + number(&status, "nonvoluntary_ctxt_switches")
        })
        .sum()
}

/// Processor time in clock ticks.
pub(crate) fn ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').collect::<Vec<_>>();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

fn number(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}
