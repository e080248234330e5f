//! At home in podman: as the init of `podman run --init`, as the pause container of a pod, and as the process that
//! keeps the namespaces of a user without root.

use std::fs;
use std::process::Command;

use crate::harness::engine::{check_as_engine_init, repository_file};
use crate::harness::podman::{Podman, complete};
use crate::harness::{TempDir, children, is_waiting, probe, rinit, wait_until, wait_until_rinit};

tests! {
    requires [Root, Program("podman"), Program("runc"), Program("busybox")];
    podman_run_init_takes_rinit_by_option,
    podman_run_init_takes_rinit_by_the_examples_containers_conf,
    a_pod_of_the_examples_containers_conf_is_paused_by_rinit_which_reaps_for_all_of_it,
    a_pods_containers_have_the_grace_of_what_pauses_it,
    rinit_named_catatonit_keeps_the_namespaces_of_a_user_without_root requires [Program("newuidmap"), Program("catatonit")],
}

/// The example's settings, with rinit where it is here.
fn example() -> String {
    let settings = fs::read_to_string(repository_file("examples/podman/containers.conf")).unwrap();
    assert!(settings.contains("/usr/local/bin/rinit"), "{settings}");
    settings.replace("/usr/local/bin/rinit", rinit().to_str().unwrap())
}

fn podman_run_init_takes_rinit_by_option() {
    let podman = Podman::new("");
    check_as_engine_init(&podman.engine, &["--init", "--init-path", rinit().to_str().unwrap()]);
}

fn podman_run_init_takes_rinit_by_the_examples_containers_conf() {
    let podman = Podman::new(&example());
    check_as_engine_init(&podman.engine, &["--init"]);
}

fn a_pod_of_the_examples_containers_conf_is_paused_by_rinit_which_reaps_for_all_of_it() {
    let podman = Podman::new(&example());
    podman.import_rinit("localhost/rinit:latest");
    podman.engine.get(&["pod", "create", "--name", "pod", "--share", "pid,net"]);
    podman.engine.get(&["pod", "start", "pod"]);
    let pause = podman.engine.get(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "pod"]);
    let pause = podman.container(&pause);
    let pid = pause.pid();
    wait_until_rinit(pid);
    wait_until("rinit to wait", || is_waiting(pid).then_some(()));
    // Nothing is held but stderr.
    let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(held.collect::<Vec<_>>(), ["2"]);

    let member = podman.engine.image(&[(&probe(), "probe")]);
    for _ in 0..2 {
        let outcome = podman.engine.run(&["run", "--rm", "--pod", "pod", &member.name, "/probe", "orphans", "100"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    wait_until("all orphans to be reaped", || children(pid).is_empty().then_some(()));
    podman.engine.get(&["pod", "stop", "--time", "200", "pod"]);
    assert_eq!(pause.code(), 0);
}

fn a_pods_containers_have_the_grace_of_what_pauses_it() {
    let podman = Podman::new(&example());
    podman.import_rinit("localhost/rinit:latest");
    let pause = ["--infra-command", "/rinit --pause --grace 1h"];
    podman.engine.get(&[&["pod", "create", "--name", "pod", "--share", "pid,net"], &pause[..]].concat());
    let member = podman.engine.image(&[(&probe(), "probe")]);
    let temp = TempDir::new();
    let volume = format!("{}:/saved", temp.path().display());
    let flush = ["/probe", "flush", "/saved/data", "500"];
    podman.engine.get(&[&["run", "--detach", "--pod", "pod", "--volume", &volume, &member.name], &flush[..]].concat());
    let data = || fs::read_to_string(temp.file("data")).unwrap_or_default();
    wait_until("it to have something to save", || (data() == "ready\n").then_some(()));
    let pause = podman.engine.get(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "pod"]);
    podman.engine.get(&["pod", "stop", "--time", "200", "pod"]);
    assert_eq!((podman.container(&pause).code(), data().as_str()), (0, "flushed\n"));
}

fn rinit_named_catatonit_keeps_the_namespaces_of_a_user_without_root() {
    let temp = TempDir::new();
    let rinit = temp.copy(rinit(), "rinit");
    let settings = temp.write("containers.conf", complete("").as_bytes(), 0o644);
    let ids = temp.write("ids", b"nobody:100000:65536\n", 0o644);
    // Podman starts /usr/libexec/podman/catatonit -P, and knows no setting for that. Here it is rinit, in a mount and a
    // PID namespace of the test's own, whose PID 1 is rinit as well.
    let script = format!(
        "set -eu
        mount --bind {rinit} /usr/libexec/podman/catatonit
        mount --bind {ids} /etc/subuid
        mount --bind {ids} /etc/subgid
        cd {temp}; mkdir -m 700 home run; chown nobody home run
        podman() {{
            setpriv --reuid nobody --regid nogroup --clear-groups env -i PATH=\"$PATH\" HOME={temp}/home \
                XDG_RUNTIME_DIR={temp}/run CONTAINERS_CONF={settings} podman \"$@\" 2>>{temp}/stderr
        }}
        first=$(podman unshare readlink /proc/self/ns/user)
        pid=$(cat run/libpod/tmp/pause.pid)
        cmp /proc/$pid/exe {rinit}
        echo command $(tr '\\0' ' ' </proc/$pid/cmdline)
        echo held $(ls /proc/$pid/fd)
        [ $(readlink /proc/$pid/ns/user) = $first ] && [ $(readlink /proc/self/ns/user) != $first ]
        [ $(podman unshare readlink /proc/self/ns/user) = $first ] && echo joined
        kill $pid
        while [ -e /proc/$pid ]; do sleep 0.01; done
        echo ended",
        temp = temp.path().display()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "timeout", "200"]);
    let output = unshare.args([&rinit, "--", "sh", "-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let stderr = fs::read_to_string(temp.file("stderr")).unwrap_or_default();
    let expected = "command catatonit -P\nheld 2\njoined\nended\n";
    assert_eq!(text, expected, "{}{stderr}", String::from_utf8_lossy(&output.stderr));
}
