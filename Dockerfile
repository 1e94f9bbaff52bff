# syntax=docker/dockerfile:1
# The embedded store is C++, so the binary is linked with glibc and libstdc++:
# the final image must be of the same Debian as the one that builds.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build VERSION=$VERSION

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/bin/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
