//! The Kubernetes manifests of examples/kubernetes, played by podman as they stand.
//!
//! image-volume.yaml is not among them: podman can't do it before version 5. `ci/manifests` holds all of them against
//! Kubernetes' own schema.

use std::fs;

use crate::harness::containerd::Containerd;
use crate::harness::engine::{Container, Engine, repository_file};
use crate::harness::podman::Podman;
use crate::harness::{
    TempDir, children, in_pid_namespace_of, kill, probe, state, status_line, wait_until, wait_until_rinit,
};

tests! {
    requires [Root, Docker, Program("busybox")];
    an_image_whose_entrypoint_is_rinit_reaps_and_ends_with_its_own_code requires [Program("podman"), Program("runc")],
    an_unmodified_image_is_wrapped_by_an_init_container requires [Program("podman"), Program("runc")],
    in_a_shared_pid_namespace_rinit_is_the_subreaper_of_its_container requires [Program("podman"), Program("runc")],
    containerds_sandbox_is_paused_by_rinit_which_reaps_for_the_pod requires [Program("containerd"), Program("curl")],
}

/// Podman with the images that the manifests name.
fn podman(docker: &Engine) -> Podman {
    // The pause container is rinit, too: there is no other image for it here.
    let podman = Podman::new("[engine]\ninfra_image = \"localhost/rinit:latest\"\n");
    podman.import_rinit("rinit:latest");
    let server = docker.build("examples/docker/Dockerfile", "server");
    podman.take(docker, &server, "server:latest");
    podman.take(docker, "rinit-test/python", "docker.io/library/python:alpine");
    podman
}

/// Plays a manifest, changed by `change`.
fn play(podman: &Podman, name: &str, change: impl FnOnce(String) -> String) {
    let temp = TempDir::new();
    let manifest = fs::read_to_string(repository_file(&format!("examples/kubernetes/{name}.yaml"))).unwrap();
    let file = temp.write("manifest.yaml", change(manifest).as_bytes(), 0o644);
    podman.engine.get(&["play", "kube", &file]);
}

/// Asks the server of examples/docker until it answers. Each request leaves an orphan behind.
fn request(server: &Container) {
    wait_until("the server to answer", || {
        let outcome = server.exec(&["wget", "-q", "-O", "-", "http://127.0.0.1:8080/"]);
        (outcome.stdout == "started\n").then_some(())
    });
}

fn an_image_whose_entrypoint_is_rinit_reaps_and_ends_with_its_own_code() {
    let docker = Engine::docker();
    let podman = podman(&docker);
    play(&podman, "entrypoint", |manifest| manifest);
    let server = podman.container("entrypoint-server");
    let pid = server.pid();
    request(&server);
    wait_until("the job to end and to be reaped", || (children(pid).len() == 1).then_some(()));
    server.stop();
    assert_eq!(server.code(), 4, "{}", server.logs());
}

fn an_unmodified_image_is_wrapped_by_an_init_container() {
    let docker = Engine::docker();
    let podman = podman(&docker);
    // Podman 4.3 removes an init container as soon as it has ended, and fails where it is too quick about it.
    let kept = "metadata:\n  annotations:\n    io.podman.annotations.init.container.type: always\n";
    play(&podman, "init-container", |manifest| manifest.replace("metadata:\n", kept));
    let server = podman.container("init-container-server");
    let pid = server.pid();
    wait_until_rinit(pid);
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.starts_with(b"/rinit-bin/rinit\0--\0python3\0"), "{}", command.escape_ascii());
    // Started from outside, an orphan is PID 1's.
    assert_eq!(server.exec(&["sh", "-c", "sleep 0 & sleep 0 &"]).code, 0);
    wait_until("the orphans to be reaped", || (children(pid).len() == 1).then_some(()));
    server.stop();
    // Python has no handler for SIGTERM.
    assert_eq!(server.code(), 143);
}

fn in_a_shared_pid_namespace_rinit_is_the_subreaper_of_its_container() {
    let docker = Engine::docker();
    let podman = podman(&docker);
    play(&podman, "shared-namespace", |manifest| manifest);
    let (server, watcher) = (podman.container("shared-namespace-server"), podman.container("shared-namespace-watcher"));
    let pid = server.pid();
    assert_ne!(status_line(pid, "NSpid").unwrap().split_ascii_whitespace().next_back(), Some("1"));
    // A job lives for a tenth of a second, in which it is seen to be the orphan of this rinit and of no other.
    let seen = || (0..100).any(|_| children(pid).len() > 1);
    wait_until("an orphan", || {
        request(&server);
        seen().then_some(())
    });
    wait_until("the orphans to be reaped", || (children(pid).len() == 1).then_some(()));
    let outcome = watcher.exec(&["/rinit", "--zombies"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "no zombies\n"), "{}", outcome.stderr);
    server.stop();
    assert_eq!(server.code(), 4, "{}", server.logs());
}

fn containerds_sandbox_is_paused_by_rinit_which_reaps_for_the_pod() {
    let docker = Engine::docker();
    let settings = fs::read_to_string(repository_file("examples/containerd/config-1.toml")).unwrap();
    // Not every machine lets its root make a process safer from the out-of-memory killer than it is itself.
    let table = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
    assert!(settings.contains(table), "{settings}");
    let containerd = Containerd::new(&settings.replace(table, &format!("{table}restrict_oom_score_adj = true\n")));
    let temp = TempDir::new();
    let image = docker.rinit_image();
    docker.get(&["tag", &image.name, "rinit:latest"]);
    docker.get(&["save", "--output", &temp.file("image"), "rinit:latest"]);
    docker.get(&["rmi", "rinit:latest"]);
    containerd.import(&temp.file("image"));
    containerd.run_pod_sandbox();
    let pid = containerd.sandbox_pid();
    wait_until_rinit(pid);
    assert_eq!(fs::read(format!("/proc/{pid}/cmdline")).unwrap(), b"/rinit\0--pause\0");
    let made = in_pid_namespace_of(pid).args([&probe(), "orphans", "100"]).status().unwrap();
    assert!(made.success());
    wait_until("all orphans to be reaped", || children(pid).is_empty().then_some(()));
    kill(pid, libc::SIGTERM);
    wait_until("the sandbox to end", || state(pid).is_none_or(|state| state == 'Z').then_some(()));
}
