//! The limit of open files: each client is one, for the server and for who plays the clients.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises this process's limit to so many files, as far as the system lets it; answers how many it may have now.
#[must_use]
pub fn raise_open_files(needed: u64) -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return needed };
    if soft >= needed {
        return soft;
    }
    // An operator's own process may raise the soft limit up to the hard one, and root beyond.
    let wanted = [(needed, hard.max(needed)), (needed.min(hard), hard)];
    let raised =
        wanted.into_iter().find(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard).is_ok());
    raised.map_or(soft, |(soft, _)| soft)
}

/// How many files this process has open; nothing where the system does not tell.
#[must_use]
pub fn files_open() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(open).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_already_stays() {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(raise_open_files(1) >= soft);
        assert!(files_open().unwrap() >= 3);
    }

    #[test]
    fn what_nobody_can_have_is_not_promised() {
        let (before, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let allowed = raise_open_files(u64::MAX / 4);
        assert!((before..u64::MAX / 4).contains(&allowed), "{allowed}");
    }
}
