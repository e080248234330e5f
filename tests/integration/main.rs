//! The integration tests: one binary, one module for each subject.
//!
//! `harness` starts rinit and watches it, `oracle` has the contract's rules for values, `tests/probe` is the program
//! that runs below rinit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests may")]

use std::process::ExitCode;

#[macro_use]
mod harness;
mod oracle;

mod by_name;
mod docker;
mod documentation;
mod exit_status;
mod faults;
mod grace;
mod help;
mod inheritance;
mod input;
mod install;
mod interruptions;
mod kill_after;
mod kubernetes;
mod memory_limits;
mod messages;
mod migration;
mod no_allocation;
mod pause;
mod podman;
mod races;
mod reaping;
mod recipes;
mod refusals;
mod restricted_environments;
mod sandbox;
mod scope;
mod security;
mod signals;
mod stalled_stderr;
mod stress;
mod terminal;
mod transparency;
mod wait_all;
mod zombies;

fn main() -> ExitCode {
    harness::runner::main(&[
        harness::runner::TESTS,
        by_name::command_line::TESTS,
        by_name::runtimes::TESTS,
        by_name::surroundings::TESTS,
        by_name::terminal::TESTS,
        by_name::who_receives::TESTS,
        docker::TESTS,
        documentation::TESTS,
        exit_status::TESTS,
        faults::TESTS,
        grace::TESTS,
        help::TESTS,
        inheritance::TESTS,
        input::TESTS,
        install::TESTS,
        interruptions::TESTS,
        kill_after::TESTS,
        kubernetes::TESTS,
        memory_limits::TESTS,
        messages::TESTS,
        migration::TESTS,
        no_allocation::TESTS,
        pause::TESTS,
        podman::TESTS,
        races::TESTS,
        reaping::TESTS,
        recipes::TESTS,
        refusals::TESTS,
        restricted_environments::TESTS,
        sandbox::TESTS,
        scope::TESTS,
        security::TESTS,
        signals::TESTS,
        stalled_stderr::TESTS,
        stress::TESTS,
        terminal::container::TESTS,
        terminal::foreground::TESTS,
        terminal::keys::TESTS,
        terminal::leftovers::TESTS,
        terminal::lxc::TESTS,
        terminal::pipelines::TESTS,
        terminal::programs::TESTS,
        terminal::races::TESTS,
        terminal::restricted::TESTS,
        terminal::scripts::TESTS,
        terminal::session_leader::TESTS,
        terminal::shell_jobs::TESTS,
        terminal::single_child::TESTS,
        terminal::stops::TESTS,
        transparency::TESTS,
        wait_all::TESTS,
        zombies::TESTS,
    ])
}
