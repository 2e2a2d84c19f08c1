# docker build --build-arg REVISION="$(git rev-parse HEAD)" -t oura-exporter .
# docker run --rm -p 127.0.0.1:10058:10058 oura-exporter demo

FROM rust:1-slim-bookworm AS build
WORKDIR /build

# The dependencies, a layer of their own that changes with Cargo.toml and Cargo.lock only. What was built from the
# stand-in sources is cleaned away, or cargo could take it for the program: it goes by the files' times. The dashboards are
# made for the tests only; cargo wants to see a library there all the same.
COPY Cargo.toml Cargo.lock ./
COPY crates/dashboards/Cargo.toml crates/dashboards/
RUN mkdir src benches crates/dashboards/src \
    && echo '//! Stands in for the dashboards.' > crates/dashboards/src/lib.rs \
    && echo '//! Stands in for the library.' > src/lib.rs \
    && echo '//! Stands in for the program.' > src/main.rs \
    && echo 'fn main() {}' | tee -a src/main.rs benches/backfill.rs benches/boards.rs > benches/page.rs \
    && cargo build --release --locked \
    && cargo clean --release --locked --package oura-exporter \
    && rm -r src

COPY build.rs build.rs
COPY src src
ARG REVISION=unknown
RUN OURA_EXPORTER_REVISION="$REVISION" cargo build --release --locked

FROM debian:bookworm-slim

# The state is the user's alone: it may hold tokens.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10058 --group=10058 --mode=0700 /var/lib/oura-exporter

COPY --from=build /build/target/release/oura-exporter /usr/local/bin/

ENV OURA_LISTEN_ADDRESS=0.0.0.0:10058 \
    OURA_STATE_DIR=/var/lib/oura-exporter
# A number, so that Kubernetes can tell that it is not root.
USER 10058:10058
VOLUME /var/lib/oura-exporter
EXPOSE 10058
STOPSIGNAL SIGTERM
# The first poll takes up to two minutes when Oura does not answer.
HEALTHCHECK --timeout=10s --start-period=2m CMD ["oura-exporter", "healthcheck"]
ENTRYPOINT ["oura-exporter"]

ARG REVISION=unknown
LABEL org.opencontainers.image.title="oura-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Oura Ring: every number true, dated, and marked when it cannot be trusted" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
