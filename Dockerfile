# A static binary in an image that holds nothing else: `docker run --rm -v "$PWD:/scan:ro" keyspill scan /scan`
FROM rust:1-alpine AS build
RUN apk add --no-cache musl-dev gcc make cmake
WORKDIR /keyspill
COPY . .
RUN cargo build --release --locked
# What is scanned belongs to somebody else: git's rule about owners would refuse it.
RUN printf '[safe]\n\tdirectory = *\n' > gitconfig

FROM scratch
COPY --from=build /keyspill/target/release/keyspill /keyspill
COPY --from=build /keyspill/gitconfig /etc/gitconfig
WORKDIR /scan
ENTRYPOINT ["/keyspill"]
CMD ["scan", "."]
