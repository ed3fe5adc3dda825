FROM docker.io/library/python:3.12-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement requirements-dev.lock \
 && python -m venv /opt/artifact-sync \
 && /opt/artifact-sync/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY daemon daemon
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist . \
 && /opt/artifact-sync/bin/pip install --no-deps --no-index /dist/*.whl

FROM docker.io/library/python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="artifact-sync" \
      org.opencontainers.image.description="Mirrors GitLab CI job artifacts into storage of your own, before they expire." \
      org.opencontainers.image.licenses="MIT"
# glibc raises its threshold for returning memory to the system as it goes; fixed ones keep the process small for months.
ENV PATH=/opt/artifact-sync/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_TRIM_THRESHOLD_=67108864 \
    MALLOC_MMAP_THRESHOLD_=67108864
RUN groupadd --system --gid 10001 artifact-sync \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/artifact-sync artifact-sync \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/artifact-sync
COPY --from=build /opt/artifact-sync /opt/artifact-sync
USER 10001:10001
WORKDIR /var/lib/artifact-sync
# The store and the state; mount the configuration at /etc/artifact-sync/config.yaml.
VOLUME /var/lib/artifact-sync
STOPSIGNAL SIGTERM
ENTRYPOINT ["artifact-sync"]
CMD ["run"]
