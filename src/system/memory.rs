//! What the kernel says about the memory of this container.

use std::path::Path;

use super::read;

/// cgroup v2, then v1, as a container sees its own (`memory.events`: admin-guide/cgroup-v2; `memory.oom_control`: v1).
const COUNTS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// How many processes of this container were killed for lack of memory. 0 where that cannot be read.
#[must_use]
pub fn processes_killed() -> u64 {
    let contents = COUNTS.iter().filter_map(|path| read::read_path(Path::new(path)).ok());
    contents.map(|(content, _)| killed(&String::from_utf8_lossy(&content))).next().unwrap_or_default()
}

fn killed(content: &str) -> u64 {
    let count = content.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_others() {
        assert_eq!(killed("low 0\nhigh 7\noom 2\noom_kill 3\noom_group_kill 1\n"), 3);
        assert_eq!(killed("oom_kill_disable 0\nunder_oom 0\noom_kill 12\n"), 12);
        assert_eq!(killed(""), 0);
    }
}
