# A static binary in an image that holds nothing else: `docker run --rm -v "$PWD:/scan:ro" keyspill scan /scan`
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev gcc make cmake
WORKDIR /keyspill
COPY . .
RUN cargo build --release --locked
# The scanned files belong to another user, and git's ownership check would refuse them.
RUN printf '[safe]\n\tdirectory = *\n' > gitconfig

FROM scratch
COPY --from=build /keyspill/target/release/keyspill /keyspill
COPY --from=build /keyspill/gitconfig /etc/gitconfig
WORKDIR /scan
ENTRYPOINT ["/keyspill"]
CMD ["scan", "."]
