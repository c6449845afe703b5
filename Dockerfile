# syntax=docker/dockerfile:1
# The proxy and the management server in one image: `docker run IMAGE -c /etc/dragoman/dragoman.yaml`.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The caches live outside the layer, so the programs are copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --bin dragoman --package dragoman \
        --bin dragoman-xds --package dragoman-xds \
    && install -D -t /out target/release/dragoman target/release/dragoman-xds

# glibc and its C++-free runtime, certificates, time zones, a user without rights; no shell, no curl.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
COPY LICENSE /usr/share/doc/dragoman/LICENSE
USER nonroot
# What the address of the admin interface is depends on the bootstrap; this is the customary one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/dragoman", "ready", "127.0.0.1:9901"]
# SIGTERM, which docker stop sends, drains.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/dragoman"]
CMD ["-c", "/etc/dragoman/dragoman.yaml"]
