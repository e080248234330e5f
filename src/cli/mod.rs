//! The command line and the variables: bytes in, an [`Action`](crate::config::Action) out. Bad
//! input is refused here and nowhere else, before anything is started.

pub mod definition;
mod nearest;
mod parse;
mod values;
mod variables;

pub use parse::{Variables, parse};
pub(crate) use variables::warn_of_ignored;
