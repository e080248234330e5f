//! A container of LXC's, whose init finds a terminal as its standard input that is nobody's controlling terminal yet.

use std::process::id;

use crate::harness::interactive::root_with_bash;
use crate::harness::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_Z, PROMPT, Session};
use crate::harness::shell::Shell;
use crate::harness::{Role, TempDir, program};

tests! {
    requires [Root, Program("lxc-start")];
    lxc_start_in_the_foreground_gives_a_whole_bash,
    lxc_start_in_the_foreground_passes_keys,
}

/// `lxc-start --foreground` with this command as the container's init.
fn start(root: &TempDir, name: &str, init: &str) -> Session {
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.uts.name = test\nlxc.net.0.type = none\nlxc.apparmor.profile = unconfined\n\
         lxc.mount.auto = proc:rw\nlxc.tty.max = 0\nlxc.init.cmd = {init}\n",
        root.path().display()
    );
    let config = root.write("config", config.as_bytes(), 0o644);
    let mut client = program("lxc-start");
    client.args(["--foreground", "--lxcpath", &root.file(""), "--rcfile", &config]);
    client.args(["--name", &format!("rinit-{name}-{}", id()), "--logfile", &root.file("log")]);
    Session::start(Role::Subreaper, client)
}

fn lxc_start_in_the_foreground_gives_a_whole_bash() {
    let root = root_with_bash();
    // LXC cuts the space at the end of a variable in its configuration.
    let shell = format!("export PS1='{PROMPT}'; exec /bin/bash --norc --noprofile -i\n");
    root.write("shell", shell.as_bytes(), 0o644);
    for options in ["", "-c ", "-a "] {
        println!("{options}");
        let init = format!("/rinit {options}-- /bin/bash /shell");
        let mut session = start(&root, "shell", &init);
        let greeting = session.expect(PROMPT);
        assert!(!greeting.contains("job control"), "{greeting}");
        // Its terminal echoes.
        session.line("stty -echo; echo qui''et");
        session.expect("quiet\n");
        session.prompt();
        Shell::Bash.has_job_control(&mut session);
        session.line("exit 0");
        session.leader.status();
    }
}

fn lxc_start_in_the_foreground_passes_keys() {
    let root = root_with_bash();
    for (key, said) in [(CTRL_C, "INT"), (CTRL_BACKSLASH, "QUIT")] {
        // What ends the read is the terminal's, and the script tells which.
        let script = "stty -echo; trap 'echo got INT; exit' INT; trap 'echo got QUIT; exit' QUIT; echo ready; cat; cat";
        root.write("script", script.as_bytes(), 0o644);
        let mut session = start(&root, "keys", "/rinit -- /bin/bash /script");
        session.expect("ready");
        session.says("one");
        session.press(CTRL_Z);
        session.says("two");
        session.press(key);
        session.expect(&format!("got {said}"));
        session.leader.status();
    }
}
