//! Any bytes as the value of any variable, through the parsers of signals, rewrites, exit codes, durations, booleans and
//! filters: what is accepted, and what it then means, is held against the contract's rules.

#![no_main]

#[path = "../../tests/integration/oracle.rs"]
mod rules;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The first byte says which.
    let Some((which, value)) = data.split_first() else { return };
    let (option, variable) = rules::VARIABLES[usize::from(*which) % rules::VARIABLES.len()];
    rules::check(option, variable, value);
});
