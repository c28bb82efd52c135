# SPDX-License-Identifier: Apache-2.0
#
# Debian 12 with what the demo and the tests need, and the sources.
#
#   docker build -t nsenter-cpp .
#   docker run --rm --init --privileged nsenter-cpp make demo
#   docker run --rm --init --privileged nsenter-cpp make test
#
# Privileged, because both make namespaces, mounts and cgroups. With an init process, which reaps what
# the tests orphan.

FROM debian:12 AS tools
COPY scripts/setup /usr/local/lib/nsenter-cpp/setup
# The sources may belong to another user outside, and git refuses those unless it is told.
RUN /usr/local/lib/nsenter-cpp/setup \
    && git config --system --add safe.directory '*' \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*

FROM tools
WORKDIR /nsenter-cpp
COPY . .
CMD ["make", "test"]
