//! The integration tests: one binary, one module for each subject.
//!
//! `harness` starts rinit and watches it, `oracle` has the contract's rules for values, `tests/probe` is the program
//! that runs below rinit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests may")]

use std::process::ExitCode;

#[macro_use]
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
mod no_allocation;
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

fn main() -> ExitCode {
    harness::runner::main(&[
        harness::runner::TESTS,
        docker::TESTS,
        documentation::TESTS,
        exit_status::TESTS,
        faults::TESTS,
        grace::TESTS,
        help::TESTS,
        input::TESTS,
        install::TESTS,
        kubernetes::TESTS,
        messages::TESTS,
        migration::TESTS,
        no_allocation::TESTS,
        pause::TESTS,
        podman::TESTS,
        races::TESTS,
        reaping::TESTS,
        refusals::TESTS,
        restricted_environments::TESTS,
        security::TESTS,
        signals::TESTS,
        stress::TESTS,
        terminal::TESTS,
        transparency::TESTS,
        zombies::TESTS,
    ])
}
