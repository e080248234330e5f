//! In real containers: the images that the Dockerfiles make, the narrow places that Docker has, and rinit as the init
//! of `docker run --init`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::engine::{Container, Daemon, Engine, RECORD_SIGNALS, check_as_engine_init, repository_file};
use crate::harness::{TempDir, children, count_zombies, forwarded_signals, probe, rinit, status_line, wait_until};

tests! {
    requires [Docker, Root, Program("busybox")];
    the_image_holds_rinit_alone_and_each_of_its_uses_works,
    the_example_serves_leaves_no_zombie_and_ends_with_its_own_code,
    every_exit_code_is_the_commands_or_says_what_went_wrong,
    each_signal_of_docker_kill_arrives,
    a_narrow_container_is_as_good_as_any,
    a_pid_limit_that_leaves_no_room_is_said_and_125,
    who_leaves_zombies_is_named_in_an_image_that_holds_nothing_else,
    a_grace_period_ends_with_the_last_who_came_by_exec,
    docker_run_init_takes_rinit_by_option requires [Program("dockerd")],
    docker_run_init_takes_rinit_by_the_examples_daemon_json requires [Program("dockerd")],
    docker_run_init_takes_rinit_as_the_file_named_docker_init requires [Program("dockerd")],
}

fn the_image_holds_rinit_alone_and_each_of_its_uses_works() {
    let docker = Engine::docker();
    let image = docker.build("Dockerfile", "rinit");
    let container = docker.start(&[&image, "--version"]);
    assert_eq!(container.code(), 0);
    let version = concat!("rinit ", env!("CARGO_PKG_VERSION"), " - git.");
    assert!(container.logs().starts_with(version), "{}", container.logs());
    // The builder has no git, but the tree says. (A linked work tree is elsewhere.)
    if Path::new(&repository_file(".git")).is_dir() {
        assert_eq!(container.logs(), format!("{version}{}\n", env!("RINIT_COMMIT")));
    }
    // Everything that is not empty: Docker adds empty files of its own, to mount over.
    let temp = TempDir::new();
    docker.get(&["export", "--output", &temp.file("tar"), &container.name]);
    let list = std::process::Command::new("tar").args(["-tvf", &temp.file("tar")]).output().unwrap();
    let files = String::from_utf8(list.stdout).unwrap();
    let files: Vec<&str> = files.lines().filter(|line| line.starts_with('-') && !line.contains(" 0 ")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].ends_with(" rinit"), "{files:?}");

    // To install it from, for an image that knows nothing of it.
    let shared = format!("{}:/rinit-bin", temp.path().display());
    assert_eq!(docker.run_to_end(&["--volume", &shared, &image, "--install", "/rinit-bin/"]).code, 0);
    let unmodified = ["--volume", &shared, "rinit-test/busybox", "/rinit-bin/rinit", "--", "sh", "-c", "exit 7"];
    assert_eq!(docker.run_to_end(&unmodified).code, 7);

    // To pause a pod with: another container's orphans are its own.
    let pause = docker.start(&[&image, "--pause"]);
    let pod = format!("container:{}", pause.name);
    let member = docker.rinit_and_probe();
    assert_eq!(docker.run_to_end(&["--pid", &pod, &member.name, "/probe", "orphans", "50"]).code, 0);
    wait_until("the pause container to reap", || children(pause.pid()).is_empty().then_some(()));
    pause.stop();
    assert_eq!(pause.code(), 0);

    // To copy it from.
    let server = docker.build("examples/docker/Dockerfile", "server");
    serves_and_stops(&docker, &server);
}

fn the_example_serves_leaves_no_zombie_and_ends_with_its_own_code() {
    let docker = Engine::docker();
    serves_and_stops(&docker, &docker.build("Dockerfile.example", "example"));
}

/// Looks at examples/docker/server.py in a container.
fn serves_and_stops(docker: &Engine, image: &str) {
    let server = docker.start(&[image]);
    server.wait_until_logged("listening");
    for _ in 0..3 {
        let answer = server.exec(&["wget", "-q", "-O", "-", "http://127.0.0.1:8080/"]);
        assert_eq!(answer.stdout, "started\n", "{}", answer.stderr);
    }
    // Each request left one; the server is what remains.
    wait_until("the jobs to end and to be reaped", || (children(server.pid()).len() == 1).then_some(()));
    server.stop();
    assert_eq!(server.code(), 4, "{}", server.logs());
    assert!(server.logs().contains("stopped after 3 requests"), "{}", server.logs());
}

fn every_exit_code_is_the_commands_or_says_what_went_wrong() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    for (command, code) in [
        (&["/probe", "exit", "0"][..], 0),
        (&["/probe", "exit", "1"], 1),
        (&["/probe", "exit", "255"], 255),
        (&["/probe", "die", "9"], 137),
        (&["/probe", "die", "15"], 143),
        (&["/probe", "die", "64"], 192),
        (&["/no/such/command"], 127),
        (&["/"], 126),
        (&["--no-such-option"], 125),
    ] {
        let outcome = docker.run_to_end(&[&[&image.name, "/rinit"], command].concat());
        assert_eq!(outcome.code, code, "{command:?}: {}", outcome.stderr);
    }
}

fn each_signal_of_docker_kill_arrives() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    let container = docker.start(&[&image.name, "/rinit", "/probe", "record", "/dev/stdout"]);
    container.wait_until_logged("ready");
    let mut expected = Vec::new();
    let names = [("RTMIN+3", 37), ("SIGRTMIN", 34), ("RTMAX", 64), ("SIGABRT", 6), ("TERM", 15)];
    let numbers = forwarded_signals().map(|number| (number.to_string(), number));
    for (signal, number) in names.iter().map(|(name, number)| ((*name).to_owned(), *number)).chain(numbers) {
        container.kill(&signal);
        expected.push(format!("{number} plain"));
        wait_until(format!("{signal} to arrive"), || container.logs().lines().skip(1).eq(&expected).then_some(()));
    }
}

fn a_narrow_container_is_as_good_as_any() {
    let docker = Engine::docker();
    let busybox = ("/bin/busybox", "bin/busybox");
    let image = docker.image(&[(rinit().to_str().unwrap(), "rinit"), (&probe(), "probe"), busybox]);
    // One by one, since in so little memory many forks at once are too much under any init, or none.
    let one_by_one = "i=0; while [ $i -lt 20 ]; do /probe orphans 1; i=$((i + 1)); done";
    let script = format!("{one_by_one}; exec {}", RECORD_SIGNALS.join(" "));
    for options in [
        "",
        "--read-only",
        "--user 1000:1000",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        // The smallest that Docker allows.
        "--memory 6m",
        "--read-only --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --memory 6m --pids-limit 5",
    ] {
        let mut words: Vec<&str> = options.split_ascii_whitespace().collect();
        words.extend([&image.name, "/rinit", "--", "/bin/busybox", "sh", "-c", &script]);
        let container = docker.start(&words);
        container.wait_until_logged("ready");
        wait_until("all orphans to be reaped", || (children(container.pid()).len() == 1).then_some(()));
        container.kill("RTMIN+3");
        container.wait_until_logged("37 plain");
        container.stop();
        assert_eq!(container.code(), 7, "{options}: {}", container.logs());
        assert!(container.logs().ends_with("15 plain\n"), "{options}: {}", container.logs());
    }
}

fn a_pid_limit_that_leaves_no_room_is_said_and_125() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    let outcome = docker.run_to_end(&["--pids-limit", "1", &image.name, "/rinit", "/probe", "exit", "0"]);
    assert_eq!(outcome.code, 125, "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with("rinit[1]: error: cannot start a process: "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--pids-limit"), "{}", outcome.stderr);
}

fn who_leaves_zombies_is_named_in_an_image_that_holds_nothing_else() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    let container = docker.start(&[&image.name, "/rinit", "/probe", "hoard", "3", "/dev/stdout"]);
    container.wait_until_logged("ready");
    let guilty = children(container.pid())[0];
    wait_until("the children to end", || (count_zombies(guilty) == 3).then_some(()));
    let outcome = container.exec(&["/rinit", "--zombies"]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let row: Vec<&str> = outcome.stdout.lines().nth(1).unwrap().split_ascii_whitespace().collect();
    let pid = status_line(guilty, "NSpid").unwrap();
    let pid = pid.split_ascii_whitespace().next_back().unwrap();
    assert_eq!((row[0], row[1], row[3], row[4], row[5]), (pid, "3", "probe", "probe", "(3)"), "{}", outcome.stdout);
    let none = docker.start(&[&image.name, "/rinit", "/probe", "hold"]);
    assert_eq!(none.exec(&["/rinit", "--zombies"]).code, 0);
}

fn a_grace_period_ends_with_the_last_who_came_by_exec() {
    let docker = Engine::docker();
    let image = docker.rinit_and_probe();
    let temp = TempDir::new();
    let volume = format!("{}:/saved", temp.path().display());
    let container = docker.start(&["--volume", &volume, &image.name, "/rinit", "--grace", "1h", "/probe", "hold"]);
    docker.get(&["exec", "--detach", &container.name, "/probe", "flush", "/saved/data", "300"]);
    let data = || fs::read_to_string(temp.file("data")).unwrap_or_default();
    wait_until("it to have something to save", || (data() == "ready\n").then_some(()));
    container.stop();
    assert_eq!((container.code(), data().as_str()), (143, "flushed\n"));
}

/// What every daemon whose init is rinit has to do.
fn is_the_init_of(daemon: &Daemon, path: &str) {
    let docker = &daemon.docker;
    let version = std::process::Command::new(rinit()).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let commit = version.trim().split_once(" - git.").unwrap().1;
    assert_eq!(docker.get(&["info", "--format", "{{.InitBinary}} {{.InitCommit.ID}}"]), format!("{path} {commit}"));
    let info = docker.run(&["info"]);
    assert!(info.stdout.contains(&format!("init version: {commit}")), "{}", info.stdout);
    assert!(!info.stderr.lines().any(|line| line.contains("init")), "{}", info.stderr);
    // "failed to parse PATH version", "failed to retrieve PATH version".
    assert!(!daemon.log().contains(&format!("{path} version")), "{}", daemon.log());

    check_as_engine_init(docker, &["--init"]);
}

fn docker_run_init_takes_rinit_by_option() {
    let path = rinit().into_string().unwrap();
    let daemon = Daemon::start("{}", |command| command.args(["--init-path", &path]));
    is_the_init_of(&daemon, &path);
    every_option_has_a_variable(&daemon.docker);
}

fn docker_run_init_takes_rinit_by_the_examples_daemon_json() {
    let path = rinit().into_string().unwrap();
    let config = fs::read_to_string(repository_file("examples/docker/daemon.json")).unwrap();
    assert!(config.contains("/usr/local/bin/rinit"), "{config}");
    let daemon = Daemon::start(&config.replace("/usr/local/bin/rinit", &path), |command| command);
    is_the_init_of(&daemon, &path);
}

fn docker_run_init_takes_rinit_as_the_file_named_docker_init() {
    let temp = TempDir::new();
    symlink(rinit(), temp.file("docker-init")).unwrap();
    let path = format!("{}:{}", temp.path().display(), std::env::var("PATH").unwrap());
    let daemon = Daemon::start("{}", |command| command.env("PATH", path));
    is_the_init_of(&daemon, "docker-init");
}

/// Under `docker run --init` nobody can give rinit an option.
fn every_option_has_a_variable(docker: &Engine) {
    let image = docker.image(&[(&probe(), "probe"), ("/bin/busybox", "bin/busybox")]);
    let run = |variables: &[&str], command: &[&str]| -> Container {
        let variables: Vec<&str> = variables.iter().flat_map(|variable| ["--env", *variable]).collect();
        docker.start(&[&["--init"], &variables[..], &[&image.name], command].concat())
    };

    // A helper that has something to save when the application ends.
    let temp = TempDir::new();
    let script = "/probe flush /data/saved 300 & until [ -s /data/saved ]; do :; done; exit 7";
    for (grace, saved) in [("RINIT_GRACE=", "ready\n"), ("RINIT_GRACE=100s", "flushed\n")] {
        let _ = fs::remove_file(temp.file("saved"));
        let volume = format!("{}:/data", temp.path().display());
        let command = ["--init", "--env", grace, "--volume", &volume, &image.name, "/bin/busybox", "sh", "-c", script];
        let outcome = docker.run_to_end(&command);
        assert_eq!(outcome.code, 7, "{}", outcome.stderr);
        assert_eq!(fs::read_to_string(temp.file("saved")).unwrap(), saved, "{grace}");
    }

    let container = run(&["RINIT_REWRITE=USR1:TERM,HUP:0", "RINIT_REMAP_EXIT=7", "RINIT_LOG=info"], &RECORD_SIGNALS);
    container.wait_until_logged("ready");
    container.kill("HUP");
    container.kill("USR1");
    assert_eq!(container.code(), 0);
    let logs = container.logs();
    assert!(logs.contains("\n15 plain\n") && logs.contains("rinit[1]: info: "), "{logs}");

    // As docker-init's for a wrong command line: the runtime calls it by that name.
    let container = run(&["RINIT_GRACE=soon"], &RECORD_SIGNALS);
    assert_eq!(container.code(), 1);
    let logs = container.logs();
    assert!(logs.contains("RINIT_GRACE") && logs.contains("'soon'"), "{logs}");
}
