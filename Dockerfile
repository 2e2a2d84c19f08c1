# docker build --build-arg REVISION="$(git rev-parse HEAD)" -t oura-exporter .
# docker run --rm -p 127.0.0.1:10058:10058 oura-exporter demo

FROM rust:1-slim-bookworm AS build
WORKDIR /build

# The dependencies, a layer of their own that changes with Cargo.toml and Cargo.lock only. What was built from the
# stand-in sources is cleaned away, or cargo could take it for the program: it goes by the files' times. The dashboards are
# made for the tests only; cargo wants to see a library there all the same.
COPY Cargo.toml Cargo.lock ./
COPY crates/dashboards/Cargo.toml crates/dashboards/
COPY crates/oura-simulator/Cargo.toml crates/oura-simulator/
RUN mkdir -p src crates/dashboards/src crates/oura-simulator/src tests/it tests/alone benches examples \
    && echo '//! Stands in for a library.' \
        | tee crates/dashboards/src/lib.rs crates/oura-simulator/src/lib.rs > src/lib.rs \
    && echo '//! Stands in for a program.' | tee crates/oura-simulator/src/main.rs > src/main.rs \
    && echo 'fn main() {}' | tee -a src/main.rs crates/oura-simulator/src/main.rs tests/it/main.rs tests/alone/main.rs \
        benches/page.rs benches/backfill.rs benches/boards.rs > examples/cloud.rs \
    && cargo build --release --locked \
    && cargo clean --release --locked --package oura-exporter --package oura-simulator --package oura-dashboards \
    && rm -r src crates/oura-simulator/src crates/dashboards/src

COPY build.rs .git_archival.txt ./
COPY crates crates
COPY src src
ARG REVISION=
ARG SOURCE_DATE_EPOCH
RUN OURA_EXPORTER_REVISION="$REVISION" cargo build --release --locked

FROM debian:bookworm-slim

# The state is the user's alone: it may hold tokens.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10058 --group=10058 --mode=0700 /var/lib/oura-exporter

COPY --from=build /build/target/release/oura-exporter /usr/local/bin/
COPY LICENSE-APACHE LICENSE-MIT LICENSES-THIRD-PARTY.txt /usr/share/doc/oura-exporter/

ENV OURA_LISTEN_ADDRESS=0.0.0.0:10058 \
    OURA_STATE_DIR=/var/lib/oura-exporter
# A number, so that Kubernetes can tell that it is not root.
USER 10058:10058
VOLUME /var/lib/oura-exporter
EXPOSE 10058
STOPSIGNAL SIGTERM
# Whether it serves, not whether it is ready: what waits for the first sign-in must not be restarted, nor taken off the net.
HEALTHCHECK --timeout=10s --start-period=10s CMD ["oura-exporter", "healthcheck", "--alive"]
ENTRYPOINT ["oura-exporter"]

ARG REVISION=unknown
LABEL org.opencontainers.image.title="oura-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Oura Ring: every number true, dated, and marked when it cannot be trusted" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
