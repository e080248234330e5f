//! What the tests share: starting rinit, watching it, and running the tests themselves.

pub mod containerd;
pub mod engine;
pub mod interactive;
mod nginx;
pub mod podman;
mod processes;
pub mod pty;
mod recorder;
pub mod requirements;
#[macro_use]
pub mod runner;
mod running;
mod scratch;
pub mod shell;
mod temp_dir;
pub mod trace;
mod wait;

pub use nginx::nginx_settings;
pub use processes::*;
pub use recorder::*;
pub use running::*;
pub use temp_dir::TempDir;
pub use wait::*;
