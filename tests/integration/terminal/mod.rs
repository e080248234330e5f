//! What an interactive user expects, in a container and under a shell, on a real pseudo-terminal.

pub mod container;
pub mod foreground;
pub mod keys;
pub mod leftovers;
pub mod lxc;
pub mod pipelines;
pub mod programs;
pub mod races;
pub mod restricted;
pub mod scripts;
pub mod session_leader;
pub mod shell_jobs;
pub mod single_child;
pub mod stops;
