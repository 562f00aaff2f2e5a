# The engine with its rules, schemas and dashboards, for a user without rights and a root that is read-only.
# Plain on purpose: buildah, docker and podman build it alike. `make image` does.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/talos-operator \
 && /opt/talos-operator/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/runtime.txt \
 && python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY rules rules
COPY schemas schemas
COPY examples examples
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/talos-operator/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /opt/talos-operator/bin/python -m compileall -q /opt/talos-operator/lib

FROM ${BASE_IMAGE}
COPY --from=build /opt/talos-operator /opt/talos-operator
# One memory arena: after a mass reconnect of machines many would keep 15 MiB for ever.
ENV PATH=/opt/talos-operator/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 8443 8081
ENTRYPOINT ["talos-operator"]
CMD ["run"]
