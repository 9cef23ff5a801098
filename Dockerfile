# The image of a node. It builds with BuildKit and with the legacy builder.
# ARG BASE_IMAGE is any Debian-like image with Python 3.12 in /usr/local; the last stage keeps only what a node needs of it.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
COPY .ci/requirements.lock .ci/build.lock .ci/
# Wheels only, so that nothing is compiled here and every byte has a hash in the lock.
RUN python3 -m venv --without-pip /opt/peatnode && \
    python3 -m pip install -q --require-hashes --only-binary :all: -r .ci/build.lock && \
    python3 -m pip --python /opt/peatnode/bin/python install -q --no-compile --require-hashes --only-binary :all: \
        -r .ci/requirements.lock
COPY chart/scripts/slim.sh chart/scripts/
RUN sh chart/scripts/slim.sh packages /opt/peatnode/lib/python3.12/site-packages
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY peatnode peatnode
COPY workers workers
RUN python3 -m pip wheel -q --no-deps --no-build-isolation -w /wheels . && \
    python3 -m pip --python /opt/peatnode/bin/python install -q --no-compile --no-deps /wheels/*.whl && \
    /opt/peatnode/bin/python -m compileall -q -j 0 /opt/peatnode/lib && \
    /opt/peatnode/bin/peatnode --help >/dev/null

FROM ${BASE_IMAGE} AS root
COPY chart/scripts/slim.sh /tmp/
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini curl ca-certificates && \
    sh /tmp/slim.sh system && rm /tmp/slim.sh && \
    install -d -o 10001 -g 10001 /data

FROM scratch
COPY --from=root / /
COPY --from=build /opt/peatnode /opt/peatnode
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="peatnode" \
      org.opencontainers.image.description="A node of a mesh that keeps the same documents, writable, on every node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/opt/peatnode/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PEAT_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8081/tcp 11204/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "curl -fsS -m 4 http://127.0.0.1:${PEAT_BROKER_PORT:-8081}/api/v1/health"]
ENTRYPOINT ["tini", "--", "peatnode"]
CMD ["run"]
