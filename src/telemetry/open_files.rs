//! The limit of open files: each client is one, for the server and for who plays the clients.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that a process has open besides its clients'.
pub const OTHER_FILES: u64 = 256;

/// What the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFiles {
    /// As many as are needed.
    Enough,
    /// Only so many; the system does not let this process have more.
    Only(u64),
}

/// Raises this process's limit to what so many connections need, as far as the system lets it.
#[must_use]
pub fn raise_open_files(connections: u64) -> OpenFiles {
    let needed = connections.saturating_add(OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return OpenFiles::Enough };
    if soft >= needed {
        return OpenFiles::Enough;
    }
    // An operator's own process may raise the soft limit up to the hard one, and root beyond.
    let wanted = [(needed, hard.max(needed)), (needed.min(hard), hard)];
    let raised =
        wanted.into_iter().find(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard).is_ok());
    match raised.map_or(soft, |(soft, _)| soft) {
        allowed if allowed >= needed => OpenFiles::Enough,
        allowed => OpenFiles::Only(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_already_is_enough() {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_open_files(0), OpenFiles::Enough);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, soft.max(OTHER_FILES));
    }

    #[test]
    fn what_nobody_can_have_is_told() {
        let (before, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let OpenFiles::Only(allowed) = raise_open_files(u64::MAX / 4) else {
            panic!("more than any system has")
        };
        assert!(allowed >= before);
    }
}
