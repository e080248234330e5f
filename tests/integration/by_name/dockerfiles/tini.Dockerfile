ARG BASE=debian:12-slim
FROM ${BASE}
COPY tini /tini
RUN chmod +x /tini
COPY probe /probe
ENTRYPOINT ["/tini", "-s", "-e", "143", "--"]
CMD ["sh", "-c", "(/probe record /shared/helper &); exec /probe record /shared/main 15 143"]
