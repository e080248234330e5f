ARG BASE=debian:12-slim
FROM ${BASE}
COPY catatonit /usr/bin/
COPY probe /
STOPSIGNAL SIGINT
ENTRYPOINT ["catatonit", "--"]
CMD ["sh", "-c", "(/probe record /shared/helper &); exec /probe record /shared/main 2 7"]
