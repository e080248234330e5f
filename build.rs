//! Sets the commit that `--version` prints, and how the linker lays out the binary. Refuses to
//! build a dynamic binary unless it is asked for.

use std::env;
use std::fs;
use std::process::{Command, exit};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    check_linking();
    println!("cargo:rustc-env=RINIT_COMMIT={}", commit());
    if has_entry_point() {
        println!("cargo:rustc-link-arg-bin=rinit=-Wl,-e,rinit_start");
    }
    // Code, constants and headers share one mapping: a mapping, a page fault and 4.5 KB of the file
    // fewer in each container. Constants can then be executed.
    println!("cargo:rustc-link-arg-bin=rinit=-Wl,-z,noseparate-code");
    // What asks for the least alignment comes last, see src/sys/memory.rs. So the small variables
    // of rinit and of the C library share a page.
    println!("cargo:rustc-link-arg-bin=rinit=-Wl,--sort-section=alignment");
}

/// Checks that the binary will be static. The flags of .cargo/config.toml make it static. But Cargo
/// does not read that file for `cargo install --git`, and RUSTFLAGS in the environment replaces
/// them.
fn check_linking() {
    println!("cargo:rerun-if-env-changed=RINIT_DYNAMIC");
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let wanted = |name: &str| env::var_os(name).is_some();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    // A fuzz target is linked with a runtime of its own, and docs.rs links nothing.
    if is_static || wanted("RINIT_DYNAMIC") || wanted("CARGO_CFG_FUZZING") || wanted("DOCS_RS") {
        return;
    }
    // Cargo leaves this file in a source that it has fetched itself. Cargo hides the warnings of
    // such a source, so it gets an error.
    if fs::metadata(".cargo-ok").is_err() {
        println!(
            "cargo:warning=this rinit will be dynamic: the flags of .cargo/config.toml, which make it static, are not in use"
        );
        return;
    }
    eprintln!(
        "\nThis would give a dynamic rinit, which does not run in an image without the same C library. For a static one:\n\n    \
         RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static -C relro-level=off' cargo install --locked ...\n\n\
         For a dynamic one, set RINIT_DYNAMIC=1.\n"
    );
    exit(1);
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

/// The first seven digits of the commit: of the packaged crate's commit, which Cargo has noted in
/// it, or of the git tree's. Zeros if there is neither: dockerd needs to read some commit (moby,
/// parseInitVersion).
fn commit() -> String {
    packaged().or_else(checked_out).unwrap_or_else(|| "0000000".into())
}

fn packaged() -> Option<String> {
    let note = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    digits(note.split("\"sha1\":").nth(1)?.split('"').nth(1)?)
}

fn checked_out() -> Option<String> {
    // Only if this folder is the root of the git tree. A source that is unpacked inside another
    // project's repository does not have that project's commit.
    fs::metadata(".git").ok()?;
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs");
    let git = Command::new("git").args(["rev-parse", "HEAD"]).output().ok();
    git.and_then(|git| digits(std::str::from_utf8(&git.stdout).ok()?)).or_else(looked_up)
}

/// Reads the commit from HEAD, or from the branch that HEAD names, if git is not installed, as in
/// the image that builds rinit.
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
