//! The command line and the variables: bytes in, an [`Action`](crate::config::Action) out. Nothing has been started yet. Here, and
//! only here, bad input is refused.

pub mod definition;
mod nearest;
mod parse;
mod values;
mod variables;

pub use parse::{Variables, parse};
pub(crate) use variables::warn_of_ignored;
