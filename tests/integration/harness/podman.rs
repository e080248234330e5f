//! Real containers of podman, with storage, network and settings of the test's own, all of which go with it.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::engine::{Container, Engine};
use super::{TempDir, wait_until};

/// What podman needs on a machine without systemd, crun and a raised limit on processes.
const CONTAINERS: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n";
const ENGINE: &str = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n";

/// An installation of podman's that nobody else sees.
pub struct Podman {
    pub engine: Engine,
    /// Holds the network and mount namespaces that podman works in: the ports of a pod are not the machine's, and no
    /// mount outlives the test.
    holder: Child,
    temp: TempDir,
}

impl Podman {
    /// One with these settings, in the words of containers.conf.
    pub fn new(settings: &str) -> Self {
        let temp = TempDir::new();
        let settings = complete(settings);
        temp.write("containers.conf", settings.as_bytes(), 0o644);
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--mount", "--propagation", "private", "sleep", "600"]);
        let holder = holder.stdin(Stdio::null()).spawn().unwrap();
        wait_until("the namespaces", || {
            let program = fs::read_link(format!("/proc/{}/exe", holder.id())).ok()?;
            (!program.ends_with("unshare")).then_some(())
        });
        let settings = format!("CONTAINERS_CONF={}", temp.file("containers.conf"));
        let (root, run, temporary) = (temp.file("root"), temp.file("run"), temp.file("tmp"));
        let pid = holder.id().to_string();
        let engine = Engine::with_client(&[
            "env",
            &settings,
            "nsenter",
            "--target",
            &pid,
            "--net",
            "--mount",
            "podman",
            "--root",
            &root,
            "--runroot",
            &run,
            "--tmpdir",
            &temporary,
        ]);
        Self { engine, holder, temp }
    }

    /// Takes an image over from Docker, under this name.
    pub fn take(&self, docker: &Engine, image: &str, name: &str) {
        let archive = self.temp.file("archive");
        docker.get(&["save", "--output", &archive, image]);
        self.engine.get(&["load", "--quiet", "--input", &archive]);
        self.engine.get(&["tag", &format!("localhost/{image}"), name]);
    }

    /// rinit's own image, under this name.
    pub fn import_rinit(&self, name: &str) {
        let image = self.engine.rinit_image();
        self.engine.get(&["tag", &image.name, name]);
    }

    /// A container that is there already, of a pod.
    pub fn container(&self, name: &str) -> Container {
        self.engine.container(name)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.engine.run(&["pod", "rm", "--all", "--force", "--time", "0"]);
        self.engine.run(&["rm", "--all", "--force", "--time", "0"]);
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Settings that work here as well.
pub fn complete(settings: &str) -> String {
    let add = |settings: String, table: &str, lines: &str| match settings.contains(table) {
        true => settings.replace(table, lines),
        false => settings + lines,
    };
    let settings = add(settings.to_owned(), "[containers]\n", CONTAINERS);
    add(settings, "[engine]\n", ENGINE)
}
