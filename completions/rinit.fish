complete -c rinit -s r -l rewrite -d 'Forward signal TO in place of FROM, or nothing where TO is 0 or none; repeat it or separate by commas [env: RINIT_REWRITE]' -r
complete -c rinit -s p -l parent-death-signal -d 'Receive SIGNAL, and so forward it, when rinit\'s own parent dies [env: RINIT_PARENT_DEATH_SIGNAL]' -r
complete -c rinit -s e -l remap-exit -d 'Exit with 0 where the command\'s code would be CODE, such as 143 for a JVM; repeat it or separate by commas [env: RINIT_REMAP_EXIT]' -r
complete -c rinit -l grace -d 'When the command has ended, send SIGTERM to what is left and wait this long for it: 10, 0.5, 10s, 2m, 1h; default 0, exit at once [env: RINIT_GRACE]' -r
complete -c rinit -l install -d 'Copy this binary to PATH, a file or a directory, and exit' -r -F
complete -c rinit -s c -l single-child -d 'Forward signals to the main child alone, not to its process group [env: RINIT_SINGLE_CHILD]'
complete -c rinit -s a -l all -d 'Forward signals to every process, those that daemonised included [env: RINIT_ALL]'
complete -c rinit -s w -l warn-on-reap -d 'Warn of each orphan reaped: pid, name, how it ended [env: RINIT_WARN_ON_REAP]'
complete -c rinit -s v -l verbose -d 'Say more on stderr: -v info, -vv debug, -vvv trace [env: RINIT_LOG, an env_logger filter]'
complete -c rinit -s P -l pause -d 'Run no command: reap and wait, exit 0 on SIGTERM or SIGINT'
complete -c rinit -l zombies -d 'List the zombies and the parents that fail to wait for them; exits 1 where there are some'
complete -c rinit -s h -l help -d 'Print this help'
complete -c rinit -s V -l version -d 'Print the version'
complete -c rinit -s l -l license -d 'Print the license'
complete -c rinit -s s -l subreaper -d 'rinit is always subreaper where it is not PID 1'
complete -c rinit -s g -l kill-process-group -d 'rinit always forwards to the process group, unless -c or -a is given'
