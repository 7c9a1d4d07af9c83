# The tested pip environment and the workflow. docs/how-to/environments.md tells how to build and run.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends make libgomp1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/glymph
COPY requirements.txt ./
# --build-arg PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds> saves gigabytes that no rule needs
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -r requirements.txt
COPY Snakefile ./
COPY config config
COPY envs envs
COPY resources resources
COPY workflow workflow
RUN ln -s workflow/profiles profiles && python -m compileall -q workflow
ENV PYTHONPATH=/opt/glymph/workflow HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
ENTRYPOINT ["snakemake", "-s", "/opt/glymph/Snakefile"]
CMD ["--help"]
