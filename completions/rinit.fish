complete -c rinit -s r -l rewrite -d 'Forward signal TO in place of FROM; TO 0 or none drops the signal; repeatable, or a comma-separated list [env: RINIT_REWRITE]' -r
complete -c rinit -s p -l parent-death-signal -d 'If rinit\'s parent dies, receive SIGNAL and forward it [env: RINIT_PARENT_DEATH_SIGNAL]' -r
complete -c rinit -s e -l remap-exit -d 'Exit with 0 if the command\'s code is CODE, such as 143 for a JVM; repeatable, or a comma-separated list [env: RINIT_REMAP_EXIT]' -r
complete -c rinit -l grace -d 'When the command has ended, send SIGTERM to every process left, and kill those that have not ended after this time; without it, exit at once [env: RINIT_GRACE]' -r
complete -c rinit -l kill-after -d 'Kill the command if it has not ended this long after a SIGTERM, SIGINT or SIGQUIT; without it, or with 0, never [env: RINIT_KILL_AFTER]' -r
complete -c rinit -l install -d 'Copy this binary to PATH, a file or a directory, and exit' -r -F
complete -c rinit -s c -l single-child -d 'Forward signals to the main child alone, not to its process group [env: RINIT_SINGLE_CHILD]'
complete -c rinit -s a -l all -d 'Forward signals to every process, daemons included [env: RINIT_ALL]'
complete -c rinit -l wait-all -d 'When the command has ended, wait until every process left has ended by itself [env: RINIT_WAIT_ALL]'
complete -c rinit -s w -l warn-on-reap -d 'Log a warning for each orphan reaped: pid, name, how it ended [env: RINIT_WARN_ON_REAP]'
complete -c rinit -s v -l verbose -d 'Log more on stderr: -v info, -vv debug, -vvv trace; the variable takes a filter such as debug or rinit::init::reap=trace [env: RINIT_LOG]'
complete -c rinit -s P -l pause -d 'Run no command: reap orphans until SIGTERM or SIGINT, then exit with 0'
complete -c rinit -l zombies -d 'List the zombies and the parents that do not wait for them; exit with 1 if there are any'
complete -c rinit -s h -l help -d 'Print this help'
complete -c rinit -s V -l version -d 'Print the version'
complete -c rinit -s l -l license -d 'Print the license'
complete -c rinit -s s -l subreaper -d 'No effect: rinit is always a subreaper if it is not PID 1'
complete -c rinit -s g -l kill-process-group -d 'Under the name of tini, tini-static, docker-init, catatonit or podman-init: forward signals to the process group; under other names that is the default [env: RINIT_KILL_PROCESS_GROUP]'
