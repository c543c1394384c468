# A static binary in an image that holds nothing else: `docker run --rm -v "$PWD:/scan:ro" keyspill scan /scan`
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev gcc make cmake
WORKDIR /keyspill
COPY . .
RUN cargo build --release --locked
# The scanned files belong to another user, and git's ownership check would refuse them.
RUN printf '[safe]\n\tdirectory = *\n' > gitconfig

# The same with git, for audits that clone: `docker build --target fleet`.
FROM alpine:3 AS fleet
RUN apk add --no-cache git openssh-client ca-certificates
COPY --from=build /keyspill/target/release/keyspill /usr/local/bin/keyspill
USER 65532:65532
ENTRYPOINT ["keyspill"]

FROM scratch
COPY --from=build /keyspill/target/release/keyspill /keyspill
COPY --from=build /keyspill/gitconfig /etc/gitconfig
WORKDIR /scan
ENTRYPOINT ["/keyspill"]
CMD ["scan", "."]
