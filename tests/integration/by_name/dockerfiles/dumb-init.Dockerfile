ARG BASE=debian:12-slim
FROM ${BASE}
COPY dumb-init /usr/bin/dumb-init
COPY probe /probe
ENTRYPOINT ["/usr/bin/dumb-init", "--rewrite", "15:3", "--rew", "10:0"]
CMD ["sh", "-c", "(/probe record /shared/helper &); exec /probe record /shared/main 3 4"]
