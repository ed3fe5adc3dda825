# syntax=docker/dockerfile:1
#
# artifact-sync in a container. It runs as 10001:10001, without capabilities, with a read-only root, and without a shell.
#
#   /etc/artifact-sync/config.yaml   the configuration, mounted read-only; $ARTIFACT_SYNC_CONFIG names another place
#   /var/lib/artifact-sync           the state, for a volume on a local disk: state.path: /var/lib/artifact-sync/state.db
#   /srv/mirror                      the store, for a volume that readers may share: store.path: /srv/mirror
#   /run/secrets                     tokens, as files that 10001 may read; no token is ever in the image
#   TZ                               whose times downloads.bandwidth means; UTC otherwise
#   HTTPS_PROXY, NO_PROXY            as elsewhere; gitlab.proxy overrides them
#
# Programs that after.command runs come in an image made FROM this one. docs/container.md shows how it is run.
#
# BASE is a Debian with its own Python, the version that the tests run with. Name a digest to build on exactly one:
#   docker build --build-arg BASE=docker.io/library/debian:bookworm-slim@sha256:... .
ARG BASE=docker.io/library/debian:bookworm-slim

# hadolint ignore=DL3006  # BASE has a tag
FROM ${BASE} AS build
# What Debian's stable release has is pinned by that release, and a security update is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# Two environments without pip: one builds the wheel, the other is the image's. Of the development tools only the build
# backend is wanted, with the hashes that the lock has for it.
RUN awk '/^[^ ]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' requirements-dev.lock > build.lock \
 && python3 -m venv --without-pip /opt/build \
 && python3 -m pip --python /opt/build/bin/python install --require-hashes --requirement build.lock \
 && python3 -m venv --without-pip /opt/artifact-sync \
 && python3 -m pip --python /opt/artifact-sync/bin/python install --no-compile --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY daemon daemon
# Compiled here, once, and never looked at again: a read-only root could not take what each start would compile anew.
RUN python3 -m pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && python3 -m pip --python /opt/artifact-sync/bin/python install --no-compile --no-deps --no-index /dist/*.whl \
 && /opt/artifact-sync/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/artifact-sync/lib \
 && find /opt/artifact-sync/bin -type f ! -name artifact-sync -delete

# hadolint ignore=DL3006  # BASE has a tag
FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="artifact-sync" \
      org.opencontainers.image.description="Mirrors GitLab CI job artifacts into storage of your own, before they expire." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# tini is PID 1 and buries what commands of after.command leave behind; it passes SIGTERM on.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 tini tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /usr/share/doc/* \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/artifact-sync \
 && install --directory --owner=10001 --group=10001 --mode=0755 /srv/mirror \
 && install --directory /etc/artifact-sync
COPY --from=build /opt/artifact-sync /opt/artifact-sync
# glibc raises its threshold for returning memory to the system as it goes; fixed ones keep the process small for months.
ENV PATH=/opt/artifact-sync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_TRIM_THRESHOLD_=67108864 \
    MALLOC_MMAP_THRESHOLD_=67108864
USER 10001:10001
WORKDIR /var/lib/artifact-sync
VOLUME ["/var/lib/artifact-sync", "/srv/mirror"]
# server.listen: 0.0.0.0:8700, which asks for server.tokens, makes it answer outside of the container.
EXPOSE 8700
STOPSIGNAL SIGTERM
# Whether what listens in here answers; a pass, and a daemon without HTTP, are healthy as long as they run.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/artifact-sync/bin/python", "-I", "-m", "artifact_sync.healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "artifact-sync"]
CMD ["run"]
