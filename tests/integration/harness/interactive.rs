//! Containers for an interactive user: Docker's client on a pseudo-terminal, and an image that holds a bash.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libc::pid_t;

use super::pty::{PROMPT, Session};
use super::{Role, TempDir, children, probe, program, rinit, wait_until};

/// What busybox is in the image, beside its own name.
const APPLETS: [&str; 4] = ["sh", "sleep", "stty", "sed"];

/// A root with /rinit, /probe, this machine's bash and a static busybox.
pub fn root_with_bash() -> TempDir {
    let temp = TempDir::new();
    for directory in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir(temp.file(directory)).unwrap();
    }
    let install = |from: &str, to: &str| {
        let to = temp.path().join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{from}: {error}"));
    };
    install(rinit().to_str().unwrap(), "rinit");
    install(&probe(), "probe");
    install("/bin/busybox", "bin/busybox");
    for applet in APPLETS {
        symlink("busybox", temp.path().join("bin").join(applet)).unwrap();
    }
    install("/bin/bash", "bin/bash");
    // Not busybox's cat: it moves what is typed by sendfile(2), which holds a pipe's reader up until the pipe is full.
    install("/bin/cat", "bin/cat");
    let needed = Command::new("ldd").args(["/bin/bash", "/bin/cat"]).output().unwrap().stdout;
    String::from_utf8(needed)
        .unwrap()
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .for_each(|library| {
            install(library, library);
        });
    temp
}

/// An image of that root. It goes away with the test.
pub struct Image(String);

impl Image {
    /// Makes it.
    pub fn new() -> Self {
        let temp = root_with_bash();
        let name = unique("image");
        let import = format!("tar --create --directory {} . | docker import - {name}", temp.path().display());
        let imported = Command::new("sh").args(["-c", &import]).stdout(Stdio::null()).status().unwrap();
        assert!(imported.success());
        Self(name)
    }

    /// `docker run` with these options and this command; the container's name comes back, too.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Container {
        let name = unique("container");
        let session = on_terminal(&[&["run", "--name", &name], options, &[self.0.as_str()], command].concat());
        Container { name, session }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "--force", &self.0]);
    }
}

/// A container, and the client that started it on its terminal. It goes away with the test.
pub struct Container {
    name: String,
    pub session: Session,
}

impl Container {
    /// The pid of its PID 1, as this process sees it.
    pub fn pid(&self) -> pid_t {
        wait_until("the container to run", || {
            let answer = docker(&["inspect", "--format", "{{.State.Pid}}", &self.name])?;
            answer.trim().parse().ok().filter(|pid| *pid > 0)
        })
    }

    /// The main child's pid, once it has the terminal.
    pub fn command(&self) -> pid_t {
        let rinit = self.pid();
        wait_until("the command to be in the foreground", || children(rinit).into_iter().find(is_in_foreground))
    }

    /// `docker exec` of this command on a terminal of its own.
    pub fn exec(&self, command: &[&str]) -> Session {
        on_terminal(&[&["exec", "-it", "--env", &format!("PS1={PROMPT}"), &self.name], command].concat())
    }

    /// `docker kill`.
    pub fn kill(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.name]).expect("docker kill works");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.name]);
    }
}

/// Whether its process group is the foreground one of its terminal: proc_pid_stat(5), pgrp and tpgid.
fn is_in_foreground(pid: &pid_t) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    fields.len() > 5 && fields[2] == fields[5]
}

fn on_terminal(words: &[&str]) -> Session {
    let mut client = program("docker");
    client.args(words);
    Session::start(Role::Subreaper, client)
}

/// What docker answers; none where it fails.
fn docker(words: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(words).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rinit-terminal-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
