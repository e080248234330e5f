//! `--zombies` names the live parents that do not wait.

use std::fs;
use std::process::Command;

use crate::harness::{BOTH_ROLES, Role, Running, TempDir, probe, program, rinit, run, run_to_end, wait_until};

tests! {
    requires [Namespaces];
    a_c_program_that_never_waits_is_named_with_its_zombies requires [Program("gcc")],
    nobody_is_named_where_all_is_well,
    without_proc_it_says_so,
    who_may_not_see_other_users_processes_is_told_so requires [Root],
    who_sees_all_in_spite_of_hidepid_is_told_no_more requires [Root],
}

/// A program as people write it: it starts others and never waits.
const NEVER_WAITS: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int i = 0; i < 5; i++)
        if (fork() == 0) execl(argv[1], argv[1], NULL);
    fclose(fopen(argv[2], "w"));
    for (;;) pause();
}
"#;

fn a_c_program_that_never_waits_is_named_with_its_zombies() {
    let temp = TempDir::new();
    let source = temp.write("driver.c", NEVER_WAITS.as_bytes(), 0o644);
    let driver = temp.file("driver");
    assert!(Command::new("gcc").args(["-w", "-o", &driver, &source]).status().unwrap().success());
    for role in BOTH_ROLES {
        let ready = temp.file(&format!("ready-{role:?}"));
        let _running = Running::start(role, &[&driver, "/bin/true", &ready], |command| command);
        wait_until("the zombies", || (fs::exists(&ready).unwrap() && hold_zombies(&driver) == 5).then_some(()));
        // From within: as `docker exec` would be.
        let mut list = Command::new("nsenter");
        let target = pid_of_program(&driver).unwrap().to_string();
        let output = list.args(["-t", &target, "-p", "-m"]).arg(rinit()).arg("--zombies").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let row = text.lines().find(|line| line.contains("driver")).unwrap_or_else(|| panic!("{text}"));
        let columns: Vec<&str> = row.split_ascii_whitespace().collect();
        assert_eq!(columns[1], "5", "{text}");
        assert_eq!(columns[3..], ["driver", "true", "(5)"], "{text}");
        assert!(text.ends_with("5 zombies of 1 process that does not wait for its children\n"), "{text}");
    }
}

fn pid_of_program(path: &str) -> Option<libc::pid_t> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let is_it = fs::read_link(entry.path().join("exe")).ok()? == std::path::Path::new(path);
        is_it.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    })
}

fn hold_zombies(path: &str) -> usize {
    pid_of_program(path).map_or(0, crate::harness::count_zombies)
}

fn nobody_is_named_where_all_is_well() {
    let script = format!("{} orphans 20; exec {} --zombies", probe(), rinit().to_str().unwrap());
    let outcome = run(Role::Pid1, &["sh", "-c", &script]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "no zombies\n"), "{}", outcome.stderr);
}

fn without_proc_it_says_so() {
    let temp = TempDir::new();
    // 1 means that there are zombies, under every name.
    for name in ["rinit", "docker-init", "dumb-init"] {
        temp.copy(rinit(), name);
        let mut command = program("chroot");
        let outcome = run_to_end(Role::Subreaper, command.arg(temp.path()).args([&format!("/{name}"), "--zombies"]));
        assert_eq!(outcome.code, 125, "{name}");
        assert!(outcome.stderr.contains("cannot read /proc"), "{}", outcome.stderr);
    }
}

fn who_may_not_see_other_users_processes_is_told_so() {
    let user = "setpriv --reuid=54325 --regid=54325 --clear-groups";
    // Somebody else's zombies are there, which hidepid hides: proc(5). By exec rinit is PID 1 itself. With PID 1 of the
    // same user, that one at least is shown. Without the capability, root sees no more than others.
    for rinit_of in [
        format!("{user} RINIT --zombies"),
        format!("exec {user} RINIT --zombies"),
        format!("exec {user} sh -c 'RINIT --zombies; exit $?'"),
        "setpriv --regid=54325 --clear-groups --bounding-set=-sys_ptrace RINIT --zombies".into(),
    ] {
        for hidden in ["1", "2", "4"] {
            let temp = TempDir::new();
            let ready = temp.file("ready");
            let script = format!(
                ": > {ready}; chmod 666 {ready}; setpriv --reuid=54326 --clear-groups {} hoard 3 {ready} & \
                 until [ -s {ready} ]; do :; done; mount -t proc -o hidepid={hidden} proc /proc || exit 9; {}; exit $?",
                temp.copy(probe(), "probe"),
                rinit_of.replace("RINIT", &temp.copy(rinit(), "rinit"))
            );
            let outcome = run_to_end(Role::Pid1, program("/bin/sh").args(["-c", &script]));
            let text = outcome.stdout.clone() + &outcome.stderr;
            assert_ne!((outcome.code, outcome.stdout.as_str()), (0, "no zombies\n"), "hidepid={hidden} {rinit_of}");
            assert!(text.contains("hidepid"), "hidepid={hidden} {rinit_of}: {text}");
        }
    }
}

fn who_sees_all_in_spite_of_hidepid_is_told_no_more() {
    let exec = "exec setpriv --clear-groups";
    for (mount, who) in [
        // By a capability, by the default group, by the mount's group.
        ("-o hidepid=2 proc /proc", String::new()),
        ("-o hidepid=4 proc /proc", String::new()),
        ("-o hidepid=2 proc /proc", format!("{exec} --bounding-set=-sys_ptrace")),
        ("-o hidepid=2 proc /proc", format!("{exec} --reuid=54325 --regid=0")),
        ("-o hidepid=2,gid=54327 proc /proc", format!("{exec} --reuid=54325 --regid=54327")),
        ("-o hidepid=2,gid=54327 proc /proc", "exec setpriv --reuid=54325 --regid=54326 --groups=54327".into()),
        // Another mount does not count.
        ("proc /proc && mount -t proc -o hidepid=2 proc /mnt", format!("{exec} --reuid=54325 --regid=54326")),
    ] {
        let temp = TempDir::new();
        let copy = temp.copy(rinit(), "rinit");
        let script = format!("mount -t proc {mount} || exit 9; {who} {copy} --zombies; exit $?");
        let outcome = run_to_end(Role::Pid1, program("/bin/sh").args(["-c", &script]));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "no zombies\n"), "{mount} {who}: {}", outcome.stderr);
    }
}
