//! How much memory the process has, and how much it may have.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A limit above this is none: version 1 of the control groups says "unlimited" by a huge number.
const NO_LIMIT: u64 = 1 << 60;

/// Resident bytes of a process; nothing where there is none, or the system does not tell.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// The bytes above which the system ends a process of this one's control group; nothing where there are
/// none.
#[must_use]
pub fn memory_limit_bytes() -> Option<u64> {
    limit_of(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new(CGROUPS))
}

/// The lowest limit of the groups that `/proc/self/cgroup` names, and of those around them.
fn limit_of(own: &str, root: &Path) -> Option<u64> {
    own.lines().filter_map(|line| group_of(line, root)).flat_map(|group| limits_up(&group, root)).min()
}

/// The folder of a group with a limit of memory, and the name of the file that says it.
fn group_of(line: &str, root: &Path) -> Option<(PathBuf, &'static str)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let inside = path.trim_start_matches('/');
    if controllers.is_empty() {
        return Some((root.join(inside), "memory.max"));
    }
    let is_memory = controllers.split(',').any(|name| name == "memory");
    is_memory.then(|| (root.join("memory").join(inside), "memory.limit_in_bytes"))
}

fn limits_up((folder, file): &(PathBuf, &'static str), root: &Path) -> Vec<u64> {
    let above = folder.ancestors().take_while(|folder| folder.starts_with(root));
    above
        .filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok())
        .filter(|limit| *limit < NO_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_some_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 1_000_000);
    }

    #[test]
    fn the_lowest_limit_around_a_process_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("a.slice/memory.max", "5000\n");
        write("a.slice/b.service/memory.max", "max\n");
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "7000\n");
        for (own, limit) in [
            ("0::/a.slice/b.service\n", Some(5_000)),
            ("0::/elsewhere\n", None),
            ("4:memory:/c\n1:cpu:/\n0::/\n", Some(7_000)),
            ("2:cpu,memory:/\n0::/a.slice\n", Some(5_000)),
            ("nonsense\n", None),
        ] {
            assert_eq!(limit_of(own, root.path()), limit, "{own}");
        }
    }
}
