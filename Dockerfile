# The tested pip environment and the workflow. docs/how-to/environments.md tells how to build and run.
FROM python:3.11-slim-bookworm AS environment
# --build-arg PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds>, or PIP_FIND_LINKS=<folder with one>,
# saves 4 GB that no rule needs
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
COPY requirements.txt ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=environment /opt/venv /opt/venv
WORKDIR /opt/glymph
COPY Snakefile ./
COPY config config
COPY envs envs
COPY resources resources
COPY workflow workflow
RUN ln -s workflow/profiles profiles && python -m compileall -q workflow
# USER: who runs it may have no name in here (docker run -u), and Python asks for one
ENV USER=glymph PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/glymph/workflow HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
ENTRYPOINT ["snakemake", "-s", "/opt/glymph/Snakefile"]
CMD ["--help"]
