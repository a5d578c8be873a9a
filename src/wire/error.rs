//! Why bytes were refused.

/// Bytes that break the format that they claim, or a buffer too small to write into. Each names the
/// part it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the part does.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A length field disagrees with the bytes around it, or is above what is accepted.
    #[error("{0} has a length that does not fit")]
    Length(&'static str),
    /// A field holds a value that its format does not allow.
    #[error("{0} has a value that is not allowed")]
    Value(&'static str),
    /// The buffer that was handed in is too small.
    #[error("no room to write {0}")]
    NoSpace(&'static str),
}
