//! A containerd of the test's own, asked as the kubelet asks it: the Container Runtime Interface, in just as much of
//! protobuf and gRPC as starting a pod's sandbox takes.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::{TempDir, wait_until};

/// One field that holds bytes: protobuf's wire type 2.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    // Below 128 a length is one byte, and all of them are.
    assert!(content.len() < 128 && field < 16);
    [&[field << 3 | 2, content.len() as u8], content].concat()
}

/// One field that holds a small number: wire type 0.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// The daemon, which goes with the test, with all that it has started.
pub struct Containerd {
    process: Child,
    temp: TempDir,
}

impl Containerd {
    /// With these settings, and directories of its own.
    pub fn new(settings: &str) -> Self {
        let temp = TempDir::new();
        let place = temp.path().display();
        // Root-level keys come before the first table: TOML.
        let own = format!(
            "root = \"{place}/root\"\nstate = \"{place}/state\"\n{settings}\n\
             [grpc]\naddress = \"{place}/socket\"\n[ttrpc]\naddress = \"{place}/ttrpc\"\n"
        );
        let config = temp.write("config.toml", own.as_bytes(), 0o644);
        let log = File::create(temp.file("log")).unwrap();
        // In namespaces of its own, so that no process, mount or network outlives it.
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--propagation", "private", "containerd", "--config", &config]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let daemon = Self { process, temp };
        wait_until("containerd to answer", || daemon.ctr(&["version"]).then_some(()));
        daemon
    }

    /// Its own client; whether it succeeds.
    fn ctr(&self, words: &[&str]) -> bool {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.temp.file("socket"), "--namespace", "k8s.io"]).args(words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Takes in an image of `docker save`.
    pub fn import(&self, archive: &str) {
        assert!(self.ctr(&["images", "import", archive]), "cannot import {archive}");
    }

    /// RunPodSandbox: a pod on the host's network, whose containers would share its PID namespace.
    pub fn run_pod_sandbox(&self) {
        let metadata = [bytes(1, b"pod"), bytes(2, b"uid"), bytes(3, b"default")].concat();
        let namespaces = [number(1, 2), number(2, 0)].concat();
        let linux = bytes(2, &bytes(1, &namespaces));
        let config = [bytes(1, &metadata), bytes(3, b"/tmp"), bytes(8, &linux)].concat();
        self.call("RunPodSandbox", &bytes(1, &config));
    }

    fn call(&self, method: &str, request: &[u8]) {
        // gRPC: a byte that says "not compressed", and the length.
        let message = [&[0], &(request.len() as u32).to_be_bytes()[..], request].concat();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "60"]);
        curl.args(["--unix-socket", &self.temp.file("socket"), "--dump-header", "-", "--output", "/dev/null"]);
        curl.args(["--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@-"]);
        curl.arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"));
        let mut curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        curl.stdin.take().unwrap().write_all(&message).unwrap();
        let output = curl.wait_with_output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(answer.contains("grpc-status: 0"), "{method}: {answer}\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.temp.file("log")).unwrap()
    }

    /// The pid of the one process of the sandbox.
    pub fn sandbox_pid(&self) -> libc::pid_t {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.temp.file("socket"), "--namespace", "k8s.io", "tasks", "list"]);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let row = text.lines().nth(1).unwrap_or_else(|| panic!("{text}"));
        row.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Its shim outlives it, but not the sandbox.
        let list = std::fs::read_dir("/proc").unwrap().flatten();
        let place = self.temp.file("");
        let shims: Vec<libc::pid_t> = list
            .filter_map(|entry| {
                let command = std::fs::read(entry.path().join("cmdline")).ok()?;
                let is_shim = String::from_utf8_lossy(&command).contains(&place)
                    && command.starts_with(b"/usr/bin/containerd-shim");
                is_shim.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
            })
            .collect();
        let _ = self.process.kill();
        let _ = self.process.wait();
        shims.into_iter().for_each(|shim| super::kill(shim, libc::SIGKILL));
    }
}
