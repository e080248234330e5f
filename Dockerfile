# An image that holds /rinit and nothing else: to copy the binary from, to install it from, and to pause a pod with.
#
#   docker build --tag rinit .
#
# Any image with cargo, a C linker and a C library to link statically will do as the builder.
ARG BUILDER=rust:1.95.0-alpine3.23
FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM scratch
COPY --from=build /src/target/release/rinit /rinit
ENTRYPOINT ["/rinit"]
# Started without a command, as a runtime starts the pause container of a pod.
CMD ["--pause"]
