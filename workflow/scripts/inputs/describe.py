"""Describe the output folder (rule inputs_describe)."""

import glymph
from glymph.common.images import write_json
from glymph.common.job import run


def main(snakemake):
    content = {
        "Name": "Glymphatic imaging measures",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "glymph", "Version": glymph.__version__}],
    }
    write_json(content, snakemake.output.description)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
