//! Names the commit that `--version` prints, and the entry point that the linker sets.

use std::env;
use std::fs;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=RINIT_COMMIT={}", commit());
    if has_entry_point() {
        println!("cargo:rustc-link-arg-bin=rinit=-Wl,-e,rinit_start");
    }
}

/// Whether src/entry.rs has an entry point for the target.
fn has_entry_point() -> bool {
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    match target("ARCH").as_str() {
        "x86_64" | "x86" | "aarch64" | "arm" | "riscv64" | "s390x" => true,
        "powerpc64" => target("ENDIAN") == "little",
        _ => false,
    }
}

/// The first seven digits of the commit: of the packaged crate's (cargo leaves a note in it), or of the git
/// tree this is. Zeros from a tree with neither: dockerd wants to read some commit (moby, parseInitVersion).
fn commit() -> String {
    packaged().or_else(checked_out).unwrap_or_else(|| "0000000".into())
}

fn packaged() -> Option<String> {
    let note = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    digits(note.split("\"sha1\":").nth(1)?.split('"').nth(1)?)
}

fn checked_out() -> Option<String> {
    // Only where this very folder is the tree: an unpacked source inside another project's repository is not
    // that project's commit.
    fs::metadata(".git").ok()?;
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs");
    let git = Command::new("git").args(["rev-parse", "HEAD"]).output().ok();
    git.and_then(|git| digits(std::str::from_utf8(&git.stdout).ok()?)).or_else(looked_up)
}

/// What HEAD or the branch that it names says, where git itself is missing: in the image that builds, of all places.
fn looked_up() -> Option<String> {
    let head = fs::read_to_string(".git/HEAD").ok()?;
    let Some(branch) = head.trim().strip_prefix("ref: ") else { return digits(&head) };
    let packed = || {
        let refs = fs::read_to_string(".git/packed-refs").ok()?;
        refs.lines().find(|line| line.ends_with(&format!(" {branch}"))).map(str::to_owned)
    };
    digits(&fs::read_to_string(format!(".git/{branch}")).ok().or_else(packed)?)
}

fn digits(hash: &str) -> Option<String> {
    let start = hash.trim().get(..7)?;
    start.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| start.into())
}
