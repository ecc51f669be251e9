# The worker, and every other `indexer` command: docker build -f deploy/indexer.Dockerfile -t catalogue-indexer .
#
# BASE         a CUDA image works as well, such as one of nvidia/cuda:*-base-ubuntu24.04 (the torch wheels bring the CUDA
#              libraries, the host the driver)
# TORCH_INDEX  a package index with CPU-only torch wheels, which are far smaller than the usual ones (an image of 6 GB)
ARG BASE=python:3.11-slim

# Only the list of dependencies counts for the cache of the minutes-long layer below, not the rest of pyproject.toml.
FROM python:3.11-slim AS dependencies
COPY pyproject.toml .
RUN python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*project["dependencies"], *project["optional-dependencies"]["onnx"], sep="\n")' >/dependencies.txt \
    && python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["copies"], sep="\n")' >/copies.txt

# The library for copy codes comes as source. It is built apart, so that no compiler stays.
FROM ${BASE} AS copies
COPY --from=dependencies /copies.txt /tmp/
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends g++ \
      $(python3 -c 'import ensurepip' 2>/dev/null || echo python3 python3-venv ca-certificates) \
      $(python3 -c 'import sysconfig; open(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || echo python3-dev) \
    && python3 -m venv /tmp/venv \
    && /tmp/venv/bin/pip wheel -q --no-deps -w /wheels -r /tmp/copies.txt

FROM ${BASE}
ARG TORCH_INDEX=
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1

RUN if ! python3 -c 'import ensurepip' 2>/dev/null; then \
      apt-get update -qq \
      && apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates \
      && rm -rf /var/lib/apt/lists/*; \
    fi \
    && python3 -m venv /opt/venv

# The same layer in both images.
COPY --from=dependencies /dependencies.txt /tmp/
RUN if [ -n "$TORCH_INDEX" ]; then grep '^torch' /tmp/dependencies.txt | xargs pip install -q --index-url "$TORCH_INDEX"; fi \
    && pip install -q -r /tmp/dependencies.txt
COPY --from=copies /wheels /tmp/wheels
RUN pip install -q --no-deps /tmp/wheels/*.whl

# Downloaded weights, shared by a volume; the owner of the folder becomes the volume's.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin catalogue \
    && install -d -o catalogue /var/lib/catalogue
ENV TORCH_HOME=/var/lib/catalogue/torch HOME=/tmp CATALOGUE_LOG_FORMAT=json CATALOGUE_METRICS_HOST=0.0.0.0

WORKDIR /app
COPY . .
RUN pip install -q --no-deps . && rm -rf /app/*
USER 10001
WORKDIR /var/lib/catalogue

EXPOSE 9108
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9108/livez', timeout=4)"]
ENTRYPOINT ["indexer"]
CMD ["run"]
