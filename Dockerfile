# SPDX-License-Identifier: Apache-2.0
#
#     docker build --tag redlock .
#     docker run --rm --env REDLOCK_REDIS=redis://10.0.0.1,redis://10.0.0.2,redis://10.0.0.3 redlock doctor
#
# An image in which a command runs under a lock begins with FROM redlock, and adds that command.

FROM swift:6.2-bookworm AS build
# The rest is installed by make.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /redlock
COPY . .
RUN make install DESTDIR=/image PREFIX=/usr

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libhiredis0.14 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home redlock
COPY --from=build /image/ /
USER redlock
ENTRYPOINT ["redlock"]
