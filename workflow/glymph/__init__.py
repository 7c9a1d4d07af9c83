"""Glymphatic imaging: the science behind the workflow's rules.

One subpackage per stage of the workflow (``inputs``, ``anat``, ``epvs``, ``dwi``, ``alps``,
``metrics``, ``qc``), ``common`` for what stages share, ``simulate`` and ``train``, which nothing
of the flow imports. Nothing here imports snakemake.
"""

__version__ = "0.2.0"
