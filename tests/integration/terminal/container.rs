//! `docker run -it` and `docker exec -it`.

use crate::harness::interactive::Image;
use crate::harness::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, PROMPT, Session};
use crate::harness::shell::{Shell, wait_until_stopped};
use crate::harness::{children, wait_until};

tests! {
    requires [Namespaces, Docker];
    docker_run_it_and_docker_exec_it_give_a_whole_bash,
    docker_run_it_passes_keys_and_stops,
    a_background_start_before_the_shell_of_a_container_leaves_it_usable,
    a_pipeline_of_docker_exec_reads_what_is_typed,
    ctrl_z_does_not_freeze_a_script_in_a_container,
}

/// Waits for a shell's prompt, and has its terminal echo nothing. Docker's terminal gets its size late, and bash then shows
/// its prompt once more.
fn be_quiet(session: &mut Session) {
    session.prompt();
    session.line("until [ \"$(stty size)\" = '24 200' ]; do sleep 0.1; done; stty -echo; echo qui''et");
    session.expect("quiet\n");
    session.prompt();
}

/// What an interactive bash in a container owes its user.
fn interactive_bash(session: &mut Session) {
    be_quiet(session);
    Shell::Bash.has_job_control(session);
    session.resize(33, 101);
    session.line("until [ \"$(stty size)\" = '33 101' ]; do sleep 0.1; done; echo resi''zed");
    session.expect("resized");
    session.prompt();
    session.line("exit 7");
    assert_eq!(session.leader.exit_code(), 7);
}

fn docker_run_it_and_docker_exec_it_give_a_whole_bash() {
    let image = Image::new();
    let bash = ["/rinit", "bash", "--norc", "--noprofile", "-i"];
    interactive_bash(&mut image.run(&["-it", "--env", &prompt()], &bash).session);
    // A container that somebody else started: with rinit again for the command, and without.
    let container = image.run(&[], &["/rinit", "/probe", "hold"]);
    let rinit = container.pid();
    wait_until("its command", || children(rinit).first().copied());
    interactive_bash(&mut container.exec(&bash));
    interactive_bash(&mut container.exec(&bash[1..]));
}

fn docker_run_it_passes_keys_and_stops() {
    let image = Image::new();
    let echo = ["/rinit", "bash", "-c", "while read word; do echo out:$word; done"];
    let mut container = image.run(&["-it"], &echo);
    let command = container.command();
    for round in 0..3 {
        container.session.press(CTRL_Z);
        container.session.line(&format!("round{round}"));
        container.session.expect(&format!("out:round{round}"));
        container.kill("TSTP");
        wait_until_stopped(command, true);
        container.session.line("later");
        container.kill("CONT");
        wait_until_stopped(command, false);
        container.session.expect("out:later");
    }
    container.session.press(CTRL_C);
    assert_eq!(container.session.leader.exit_code(), 130);

    let mut container = image.run(&["-it"], &["/rinit", "/probe", "hold"]);
    container.command();
    container.session.press(CTRL_BACKSLASH);
    assert_eq!(container.session.leader.exit_code(), 131);
}

/// The start of a shell whose prompt is the tests'.
fn prompt() -> String {
    format!("PS1={PROMPT}")
}

fn a_background_start_before_the_shell_of_a_container_leaves_it_usable() {
    let image = Image::new();
    for options in ["", "-c", "-a"] {
        // Whether rinit or the shell is the first to look at the terminal is chance.
        for _ in 0..3 {
            let script = format!("/rinit {options} -- sleep 1000 & exec sh -i");
            let mut container = image.run(&["-it", "--env", &prompt()], &["sh", "-c", &script]);
            usable(&mut container.session);
        }
        let script = format!("/rinit {options} -- sleep 1000 & sleep .5; export PS1='{PROMPT}'; exec bash --norc");
        let mut container = image.run(&["-it", "--entrypoint", "/rinit"], &["--", "bash", "-c", &script]);
        usable(&mut container.session);
    }
}

/// Whether an interactive shell on a container's terminal, which echoes, has job control.
fn usable(session: &mut Session) {
    be_quiet(session);
    Shell::Bash.has_job_control(session);
    session.line("exit 7");
    assert_eq!(session.leader.exit_code(), 7);
}

fn a_pipeline_of_docker_exec_reads_what_is_typed() {
    let image = Image::new();
    let container = image.run(&[], &["/rinit", "/probe", "hold"]);
    let rinit = container.pid();
    wait_until("its command", || children(rinit).first().copied());
    let mut session = container.exec(&["bash", "--norc", "--noprofile", "-i"]);
    be_quiet(&mut session);
    for options in ["", "-c", "-a"] {
        session.line(&format!("cat | /rinit {options} -- bash -c 'while read word; do echo got:$word; done'"));
        session.line("first");
        session.expect("got:first");
        session.press(CTRL_Z);
        session.expect("Stopped");
        session.prompt();
        session.line("fg");
        session.line("then");
        session.expect("got:then");
        session.press(CTRL_D);
        session.prompt();
        // A key that comes before they run is the shell's.
        session.line(&format!("sleep 1000 | /rinit {options} -- bash -c 'echo be''gun; exec cat'"));
        session.expect("begun\n");
        session.press(CTRL_C);
        session.prompt();
        // Whether cat ends by the key or by the end of its input is chance.
        session.line("echo all of it $((6 * 7))");
        session.expect("all of it 42");
        session.prompt();
    }
}

fn ctrl_z_does_not_freeze_a_script_in_a_container() {
    let image = Image::new();
    for options in [&["/rinit"][..], &["/rinit", "-c", "--"], &["/rinit", "-a"]] {
        let script = "stty -echo; echo rea''dy; cat; exit 9";
        let mut container = image.run(&["-it"], &[options, &["sh", "-c", script]].concat());
        container.session.expect("ready\n");
        container.session.says("first");
        for round in 0..3 {
            container.session.press(CTRL_Z);
            container.session.says(&format!("round {round}"));
        }
        container.session.press(CTRL_D);
        assert_eq!(container.session.leader.exit_code(), 9);
    }
}
