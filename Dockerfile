# syntax=docker/dockerfile:1
# For both platforms: docker buildx build --platform linux/amd64,linux/arm64 .
#
# The embedded store is C++, so the binary is linked with glibc and libstdc++:
# the final image must be of the same Debian as the one that builds. That one
# runs on the machine's own platform and compiles for the other, since an
# emulated compiler takes hours.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETARCH
RUN apt-get update && apt-get install -y --no-install-recommends crossbuild-essential-$TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build ARCH=$TARGETARCH VERSION=$VERSION

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/bin/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
