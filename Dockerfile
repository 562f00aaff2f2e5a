# The engine with its rules, schemas and dashboards, for a user without rights and a root that is read-only.
# Plain on purpose: buildah, docker and podman build it alike. `make image` does.
#
# BASE_IMAGE is any image with glibc and Python 3.11 or newer with its module venv.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# Compiled files differ with the order of sets and the date of their source: so one order, and none by the way.
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/build \
 && python3 -m venv --without-pip /opt/talos-operator \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt \
 && /opt/build/bin/pip --python /opt/talos-operator/bin/python install --no-cache-dir --no-compile --no-deps \
      --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY rules rules
COPY schemas schemas
COPY grafana grafana
COPY alerting alerting
# The program and what it imports; no scripts of libraries, no tests. Compiled files do not ask for the date of their
# source, for dates differ from build to build and a read-only root leaves nothing to renew them.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/talos-operator/bin/python install --no-cache-dir --no-compile --no-deps \
      --no-index /wheels/*.whl \
 && find /opt/talos-operator/bin -mindepth 1 ! -name 'python*' ! -name talos-operator -delete \
 && find /opt/talos-operator/lib -type d \( -name tests -o -name testdata \) -prune -exec rm -r {} + \
 && /opt/talos-operator/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/talos-operator/lib

FROM ${BASE_IMAGE}
# One memory arena: after a mass reconnect of machines many would keep 15 MiB for ever. No store of freed memory for
# each thread: fifty of them keep 5 MiB.
ENV PATH=/opt/talos-operator/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0
# Nothing here installs packages. Images of Python leave out the compiled files of its library; without them each start
# would compile it anew.
RUN set -- $(python3 -c 'from sysconfig import get_path; print(get_path("stdlib"), get_path("purelib"))') \
 && rm -rf "$1/ensurepip" "$2"/pip* "$2"/setuptools* "$2"/pkg_resources "$2"/_distutils_hack "$2"/wheel* \
      /usr/local/bin/pip* /usr/local/bin/wheel /usr/share/python-wheels \
 && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash \
      -x '/(idlelib|lib2to3|pydoc_data|test|tkinter|turtledemo)/' "$1"
COPY --from=build /opt/talos-operator /opt/talos-operator
USER 65532:65532
EXPOSE 8443 8081
ENTRYPOINT ["talos-operator"]
CMD ["run"]
# Last, for they change with every commit.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Talos Operator" \
      org.opencontainers.image.description="Runs Talos Linux clusters from Kubernetes resources by rules written in YAML" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
