# An image that holds only /rinit: to copy the binary from it, to install rinit from it, or to pause a pod.
#
#   docker build --tag rinit .
#
# The builder can be any image with cargo, a C linker and a static C library.
ARG BUILDER=rust:1.95.0-alpine3.23
FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM scratch
COPY --from=build /src/target/release/rinit /rinit
ENTRYPOINT ["/rinit"]
# A runtime starts the pause container of a pod without a command.
CMD ["--pause"]
