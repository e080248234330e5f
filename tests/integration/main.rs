//! The integration tests: one binary, one module for each subject.
//!
//! `harness` starts rinit and watches it, `oracle` has the contract's rules for values, `tests/probe` is the program
//! that runs below rinit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests may")]

mod harness;
mod oracle;

mod docker;
mod documentation;
mod exit_status;
mod faults;
mod grace;
mod help;
mod input;
mod install;
mod kubernetes;
mod messages;
mod migration;
mod pause;
mod podman;
mod races;
mod reaping;
mod refusals;
mod restricted_environments;
mod security;
mod signals;
mod stress;
mod terminal;
mod transparency;
mod zombies;
