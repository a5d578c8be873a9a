//! Settings: parsed, checked, documented.
//!
//! [`Config`] assembles the sections; what a folder can be told stays in its `settings` module.
//! `deploy/anteroom.toml` documents every setting, and a test holds it to the code.

mod check;
mod document;
mod error;
mod hint;
mod parse;
#[cfg(test)]
mod tests;

pub use document::Document;
pub use error::ConfigError;
pub use parse::Config;
