//! Real containers: the init of `docker run --init` and of `podman run --init`, and the Dockerfiles of others.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use libc::c_int;

use super::who_receives::has_none_pending;
use super::{Faults, ORIGINALS};
use crate::harness::engine::{Container, Daemon, Engine, repository_file};
use crate::harness::podman::Podman;
use crate::harness::{TempDir, children, probe, recorded_signals, rinit, state, wait_until};

tests! {
    requires [];
    docker_run_init_keeps_gunicorns_requests_on_a_reload requires [Docker, Program("docker-init")],
    podman_run_init_keeps_gunicorns_requests_on_a_reload requires [Docker, Program("podman"), Program("catatonit")],
    a_dockerfile_for_another_init_builds_and_runs_unchanged requires [Docker, Program("tini-static"), Program("dumb-init")],
}

const GUNICORN: &str = "rinit-test/gunicorn";

fn make_image(name: &str) {
    assert!(Command::new(repository_file("tests/images")).arg(name).status().unwrap().success());
}

/// Reloads gunicorn by SIGHUP in the middle of a request, below the engine's init. Returns the end of the answer, and
/// gunicorn's exit code. gunicorn logs errors only: if a worker ends while its master writes to the log, the master fails
/// with 255 in its handler of SIGCHLD, which would write a warning.
fn reload_during_a_request(engine: &Engine, options: &[&str]) -> (String, i32) {
    let shared = TempDir::new();
    let volumes =
        [format!("{}:/shared", shared.path().display()), format!("{}:/app:ro", repository_file("examples/workers"))];
    let words = format!(
        "--volume {} --volume {} --env FOLDER=/shared --workdir /app {GUNICORN} python3 -m gunicorn --workers 2 \
         --bind unix:/shared/socket --log-level error --graceful-timeout 5 --timeout 200 web:app",
        volumes[0], volumes[1]
    );
    let words: Vec<&str> = options.iter().copied().chain(words.split_ascii_whitespace()).collect();
    let container = engine.start(&words);
    let init = container.pid();
    let workers = || -> Vec<_> { children(init).into_iter().flat_map(children).collect() };
    let old = wait_until("gunicorn", || Some(workers()).filter(|workers| workers.len() == 2));
    let mut request = UnixStream::connect(shared.file("socket")).unwrap();
    request.write_all(b"GET /request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    wait_until("the request to be under way", || fs::exists(shared.file("request.started")).unwrap().then_some(()));

    container.kill("HUP");
    wait_until("a new worker", || workers().iter().any(|worker| !old.contains(worker)).then_some(()));
    wait_until_delivered(&container, libc::SIGHUP);
    File::create(shared.file("go")).unwrap();
    let mut answer = String::new();
    // An error is that of a connection that a worker had when it was killed.
    let _ = request.read_to_string(&mut answer);
    wait_until("the old workers to end", || workers().iter().all(|worker| !old.contains(worker)).then_some(()));
    container.stop();
    (answer.lines().last().unwrap_or_default().to_owned(), container.code())
}

/// Waits until a container's init has passed a signal on to whom it wants to, and these have it.
fn wait_until_delivered(container: &Container, signal: c_int) {
    let init = container.pid();
    let has_it = |pid: libc::pid_t| state(pid) == Some('Z') || has_none_pending(pid);
    wait_until(format!("{signal} to be delivered"), || {
        let main: Vec<_> = children(init);
        let workers = main.iter().flat_map(|pid| children(*pid));
        (has_it(init) && main.iter().copied().chain(workers).all(has_it)).then_some(())
    });
}

/// What each of two inits makes of it, and of the variable that asks for the group.
fn compare(faults: &mut Faults, row: &str, inits: [(&Engine, &[&str]); 2]) {
    let [theirs, ours] = inits.map(|(engine, options)| reload_during_a_request(engine, options));
    assert_eq!(theirs, ("done".to_owned(), 0), "{row}: the original");
    faults.compare(row, &theirs, &ours, None);
    let [theirs, ours] = inits.map(|(engine, options)| {
        reload_during_a_request(engine, &[options, &["--env", "TINI_KILL_PROCESS_GROUP=1"]].concat())
    });
    if row.starts_with("docker") {
        assert_eq!(theirs, (String::new(), 0), "{row}, to the group: the original");
        faults.compare(&format!("{row}, to the group"), &theirs, &ours, None);
    }
}

fn docker_run_init_keeps_gunicorns_requests_on_a_reload() {
    make_image("gunicorn");
    let (temp, path) = (TempDir::new(), rinit().into_string().unwrap());
    let archive = temp.file("archive");
    let docker = Engine::with_client(&["docker"]);
    docker.get(&["save", "--output", &archive, GUNICORN]);
    let daemons = ["/usr/bin/docker-init", &path].map(|path| {
        let daemon = Daemon::start("{}", |command| command.args(["--init-path", path]));
        daemon.docker.get(&["load", "--quiet", "--input", &archive]);
        daemon
    });
    let mut faults = Faults::default();
    compare(&mut faults, "docker run --init", [(&daemons[0].docker, &["--init"]), (&daemons[1].docker, &["--init"])]);
    faults.check();
}

fn podman_run_init_keeps_gunicorns_requests_on_a_reload() {
    make_image("gunicorn");
    let podman = Podman::new("");
    podman.take(&Engine::with_client(&["docker"]), GUNICORN, GUNICORN);
    let path = rinit().into_string().unwrap();
    let mut faults = Faults::default();
    let ours = ["--init", "--init-path", &path];
    compare(&mut faults, "podman run --init", [(&podman.engine, &["--init"]), (&podman.engine, &ours)]);
    faults.check();
}

/// Builds one with the original, then with rinit in that file's place, and not a line changed.
fn a_dockerfile_for_another_init_builds_and_runs_unchanged() {
    make_image("python");
    let docker = Engine::with_client(&["docker"]);
    let mut faults = Faults::default();
    for name in ["tini", "dumb-init", "catatonit"] {
        let original = if name == "tini" { "tini-static" } else { name };
        let original = ORIGINALS.iter().find(|(known, _)| *known == original).unwrap().1;
        let [theirs, ours] = [original.to_owned(), rinit().into_string().unwrap()].map(|init| {
            let context = TempDir::new();
            context.copy(init, name);
            context.copy(probe(), "probe");
            let file = repository_file(&format!("tests/integration/by_name/dockerfiles/{name}.Dockerfile"));
            let image = docker.get(&[
                "build",
                "--quiet",
                "--network",
                "none",
                "--build-arg",
                "BASE=rinit-test/python",
                "--file",
                &file,
                context.path().to_str().unwrap(),
            ]);
            let outcome = run_image(&docker, &image);
            docker.get(&["image", "rm", "--force", &image]);
            outcome
        });
        faults.compare(name, &theirs, &ours, None);
    }
    faults.check();
}

/// What the main child and the helper of an image receive, and the exit codes of a stop, a command and a wrong one.
fn run_image(docker: &Engine, image: &str) -> String {
    let shared = TempDir::new();
    let [main, helper] = ["main", "helper"].map(|name| shared.file(name));
    let container = docker.start(&["--volume", &format!("{}:/shared", shared.path().display()), image]);
    let is_ready = |file: &String| fs::read_to_string(file).is_ok_and(|text| text.contains("ready"));
    let have_begun = wait_until("the container to begin, or to end", || {
        if is_ready(&main) && is_ready(&helper) { Some(true) } else { (!container.is_running()).then_some(false) }
    });
    if !have_begun {
        return format!("ended with {}: {}", container.code(), container.logs());
    }
    container.kill("USR1");
    container.kill("HUP");
    wait_until("the main child to get SIGHUP", || {
        recorded_signals(&main).contains(&"1 plain".to_owned()).then_some(())
    });
    wait_until_delivered(&container, libc::SIGUSR1);
    let before_the_end = recorded_signals(&helper);
    container.stop();
    let codes = [
        container.code(),
        docker.run_to_end(&[image, "sh", "-c", "exit 7"]).code,
        docker.run_to_end(&[image, "/no/such"]).code,
    ];
    // Two that wait at the same time are taken in the order of their numbers.
    let sorted = |mut signals: Vec<String>| {
        signals.sort();
        signals
    };
    let (main, helper) = (sorted(recorded_signals(&main)), sorted(before_the_end));
    format!("main {main:?}, helper {helper:?}, codes {codes:?}")
}
