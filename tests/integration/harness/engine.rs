//! Real containers, of the daemon that runs here or of one that the test starts for itself. What a test makes goes
//! with it; only the images of `tests/images`, and those built from the repository's Dockerfiles, stay for the next.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libc::pid_t;

use super::{Outcome, TempDir, children, count_zombies, probe, rinit, state, wait_until, wait_until_rinit};

/// Seconds that one call of the client may take, so that nothing that hangs holds the tests up for ever.
const LIMIT: &str = "300";

/// A container engine, by its client: Docker's or podman's, whose command lines are alike.
#[derive(Clone)]
pub struct Engine {
    client: Vec<String>,
}

impl Engine {
    /// Whose client is started by these words.
    pub fn with_client(words: &[&str]) -> Self {
        Self { client: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// The machine's own Docker daemon: [`Requirement::Docker`](super::requirements::Requirement).
    pub fn docker() -> Self {
        Self::with_client(&["docker"])
    }

    /// Runs the client to its end.
    pub fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Outcome {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LIMIT]).args(&self.client).stdin(Stdio::null());
        let output = command.args(words).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Runs the client, which has to succeed, and answers its stdout without the last line's end.
    pub fn get<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        let outcome = self.run(words);
        let words: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        assert_eq!(outcome.code, 0, "{}: {}{}", words.join(" "), outcome.stdout, outcome.stderr);
        outcome.stdout.trim_end().to_owned()
    }

    /// An image of just these files: where from, and their names in it.
    pub fn image(&self, files: &[(&str, &str)]) -> Image {
        self.import(files, &[])
    }

    /// rinit's own image, as the Dockerfile has it, of the binary under test.
    pub fn rinit_image(&self) -> Image {
        let dockerfile = fs::read_to_string(repository_file("Dockerfile")).unwrap();
        let changes = dockerfile.lines().filter(|line| line.starts_with("ENTRYPOINT") || line.starts_with("CMD"));
        let changes: Vec<&str> = changes.flat_map(|line| ["--change", line]).collect();
        self.import(&[(rinit().to_str().unwrap(), "rinit")], &changes)
    }

    fn import(&self, files: &[(&str, &str)], options: &[&str]) -> Image {
        let root = TempDir::new();
        for (from, to) in files {
            let to = PathBuf::from(root.file(to));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
        let archive = root.path().with_extension("tar");
        let tar =
            Command::new("tar").args(["-C", root.path().to_str().unwrap(), "-cf"]).arg(&archive).arg(".").status();
        assert!(tar.unwrap().success());
        let name = unique();
        self.get(&[&["import"], options, &[archive.to_str().unwrap(), &name]].concat());
        fs::remove_file(archive).unwrap();
        Image { engine: self.clone(), name }
    }

    /// An image FROM scratch that holds /rinit and one more static program, /probe.
    pub fn rinit_and_probe(&self) -> Image {
        self.image(&[(rinit().to_str().unwrap(), "rinit"), (&probe(), "probe")])
    }

    /// Starts a container in the background: `docker run` with these words.
    pub fn start<W: AsRef<OsStr>>(&self, words: &[W]) -> Container {
        let container = Container { engine: self.clone(), name: unique() };
        let first = ["run", "--detach", "--network", "none", "--name", &container.name];
        let words: Vec<&OsStr> = first.iter().map(OsStr::new).chain(words.iter().map(AsRef::as_ref)).collect();
        self.get(&words);
        container
    }

    /// A container that somebody else has made.
    pub fn container(&self, name: &str) -> Container {
        Container { engine: self.clone(), name: name.to_owned() }
    }

    /// Runs a container to its end: `docker run` with these words.
    pub fn run_to_end<W: AsRef<OsStr>>(&self, words: &[W]) -> Outcome {
        let first = ["run", "--rm", "--network", "none"];
        let words: Vec<&OsStr> = first.iter().map(OsStr::new).chain(words.iter().map(AsRef::as_ref)).collect();
        self.run(&words)
    }

    /// Builds one of the repository's Dockerfiles on the images of `tests/images`, and answers the image's name,
    /// which is always the same. Unless something changed, the daemon's cache has it.
    pub fn build(&self, file: &str, name: &str) -> String {
        // One at a time: the first stage is the same in all, and the test that comes second finds it built.
        let _lock = lock("build");
        assert!(Command::new(repository_file("tests/images")).status().unwrap().success());
        let tag = format!("rinit-test/{name}");
        let mut words = vec!["build", "--quiet", "--network", "none", "--tag", &tag];
        for argument in ["BUILDER=rinit-test/builder", "BASE=rinit-test/python", "RINIT=rinit-test/rinit"] {
            let file = fs::read_to_string(repository_file(file)).unwrap();
            if file.contains(&format!("ARG {}=", argument.split_once('=').unwrap().0)) {
                words.extend(["--build-arg", argument]);
            }
        }
        let (file, root) = (repository_file(file), repository_file("."));
        self.get(&[&words[..], &["--file", &file, &root]].concat());
        tag
    }
}

/// A command of /probe's that ends with 7 on SIGTERM, and writes down what arrives until then.
pub const RECORD_SIGNALS: [&str; 5] = ["/probe", "record", "/dev/stdout", "15", "7"];

/// Looks at rinit as an engine's own init: `options` are what asks for it. Zombies are counted from the host.
pub fn check_as_engine_init(engine: &Engine, options: &[&str]) {
    let image = engine.image(&[(&probe(), "probe"), ("/bin/busybox", "bin/busybox")]);
    // What makes orphans is started before the application, as by an entrypoint script.
    let script = format!("/probe orphans 200 & exec {}", RECORD_SIGNALS.join(" "));
    let start = |options: &[&str]| {
        let container = engine.start(&[options, &[&image.name, "/bin/busybox", "sh", "-c", &script]].concat());
        container.wait_until_logged("ready");
        container
    };
    // Without an init the application is PID 1, and all of them stay: there is something to be reaped.
    let alone = start(&[]);
    wait_until("zombies", || (count_zombies(alone.pid()) == 201).then_some(()));
    let container = start(options);
    wait_until_rinit(container.pid());
    wait_until("all orphans to be reaped", || (children(container.pid()).len() == 1).then_some(()));
    assert_eq!(state(container.pid()), Some('S'));
    container.stop();
    assert_eq!(container.code(), 7);
    assert!(container.logs().ends_with("15 plain\n"), "{}", container.logs());
}

/// A file of the repository.
pub fn repository_file(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Waits until no other test holds the lock of this name, and holds it as long as the file stays open: flock(2).
fn lock(name: &str) -> File {
    let file = File::create(format!("{}/{name}.lock", env!("CARGO_TARGET_TMPDIR"))).unwrap();
    // SAFETY: an open descriptor and a number.
    assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
    file
}

/// A name that nothing else on the machine has.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rinit-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An image that goes with the test.
pub struct Image {
    engine: Engine,
    pub name: String,
}

impl Drop for Image {
    fn drop(&mut self) {
        self.engine.run(&["image", "rm", "--force", &self.name]);
    }
}

/// A container that goes with the test.
pub struct Container {
    engine: Engine,
    pub name: String,
}

impl Container {
    /// The pid of its PID 1, as this process sees it.
    pub fn pid(&self) -> pid_t {
        self.engine.get(&["inspect", "--format", "{{.State.Pid}}", &self.name]).parse().unwrap()
    }

    /// What it has written so far: stdout, then stderr.
    pub fn logs(&self) -> String {
        let outcome = self.engine.run(&["logs", &self.name]);
        outcome.stdout + &outcome.stderr
    }

    /// Waits until it has written this, or ended without.
    pub fn wait_until_logged(&self, text: &str) {
        wait_until(format!("a container to write {text:?}"), || {
            let running = self.is_running();
            let logs = self.logs();
            assert!(running || logs.contains(text), "the container has ended: {logs:?}, and not {text:?}");
            logs.contains(text).then_some(())
        });
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.engine.get(&["inspect", "--format", "{{.State.Running}}", &self.name]) == "true"
    }

    /// `docker kill --signal`
    pub fn kill(&self, signal: &str) {
        self.engine.get(&["kill", "--signal", signal, &self.name]);
    }

    /// `docker stop`, with more patience than any test has, so that a SIGKILL that ended it would not go unseen.
    pub fn stop(&self) {
        self.engine.get(&["stop", "--time", "200", &self.name]);
    }

    /// Its exit code, when it has ended.
    pub fn code(&self) -> i32 {
        self.engine.get(&["wait", &self.name]).parse().unwrap()
    }

    /// `docker exec`
    pub fn exec(&self, words: &[&str]) -> Outcome {
        self.engine.run(&[&["exec", &self.name], words].concat())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.engine.run(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A daemon of the test's own, with its own everything, that ends with it.
pub struct Daemon {
    pub docker: Engine,
    process: Child,
    temp: TempDir,
}

impl Daemon {
    /// Starts one with this daemon.json and what `configure` adds, and waits until it answers.
    pub fn start(config: &str, configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let temp = TempDir::new();
        let config = temp.write("daemon.json", config.as_bytes(), 0o644);
        let log = File::create(temp.file("log")).unwrap();
        let address = format!("unix://{}", temp.file("socket"));
        // A network namespace of its own, since one without a bridge takes the machine's docker0 away, and a mount
        // namespace, so that no mount outlives it.
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--mount",
            "dockerd",
            "--config-file",
            &config,
            "--host",
            &address,
            "--pidfile",
            &temp.file("pid"),
        ]);
        command.args(["--data-root", &temp.file("data"), "--exec-root", &temp.file("exec")]);
        command.args(["--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--ip-forward=false"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = configure(&mut command).spawn().unwrap();
        let mut daemon = Self { docker: Engine::with_client(&["docker", "--host", &address]), process, temp };
        wait_until("a daemon of the test's own to answer", || {
            assert!(daemon.process.try_wait().unwrap().is_none(), "dockerd has ended: {}", daemon.log());
            (daemon.docker.run(&["version"]).code == 0).then_some(())
        });
        daemon
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.temp.file("log")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It stops its containers and its containerd itself.
        super::kill(self.process.id() as pid_t, libc::SIGTERM);
        let _ = self.process.wait();
    }
}
