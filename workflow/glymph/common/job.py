"""What every script of the workflow does around its one function call.

`run` sends all output (also that of child processes and C++ libraries) to the rule's log, sets the
thread counts of ITK, OpenMP and numba before any library is loaded, compares what the job reads
with what is recorded of it (`integrity`), and keeps one bad subject from stopping the others: a
`BadInput` leaves a `Stop` record in the place of every output, which later jobs of that subject
pass on and the cohort tables list. Any other exception fails the job.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from glymph.common import integrity
from glymph.common.errors import BadInput, Fault, raised_in, read_stop, write_stop

THREAD_VARIABLES = (
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
FULL_DISK_BYTES = 1_000_000


def run(main: Callable, snakemake, *, pass_stops: bool = True, leave_stops: bool = True) -> None:
    """Run ``main(snakemake)`` as one job of the workflow.

    With ``pass_stops`` an input that is a `Stop` ends the job at once and is handed on; the
    collecting rules turn this off and look at their inputs themselves. Without ``leave_stops``
    a `BadInput` fails the job: rules of the whole cohort have no other subject to go on with.
    """
    folder = snakemake.config["output_dir"]
    # First of all: a run that finds this job at work must find the folder held.
    integrity.hold_with_others(folder, getattr(snakemake.wildcards, "prefix", None))
    _take_memory_of_blas()
    console = _redirect_output(snakemake.log)
    _set_threads(snakemake.threads)
    sources = getattr(snakemake.params, "sources", {})
    try:
        integrity.check_sources(sources)
        integrity.check_results(snakemake.input, folder)
        integrity.begin(snakemake.output, folder)
        try:
            _make(main, snakemake, pass_stops, leave_stops)
        finally:
            # Also where that failed: a file replaced while it is read is half old and half new, and
            # what the reader says of it is not the reason.
            integrity.check_sources(sources)
        integrity.finish(snakemake.output, folder)
    except Fault as fault:
        _fail(f"FAILED in {snakemake.rule}: {fault}\n", console, folder)
    except Exception:
        _fail(traceback.format_exc(), console, folder)


def _fail(reason: str, console: int, folder: str | Path) -> None:
    """End the job with ``reason`` in its log or, where nothing can be written there, on the console
    of the run. C++ libraries do not say that the disk is full, so that is looked at here."""
    with contextlib.suppress(OSError):  # a folder that is gone is not the reason
        if shutil.disk_usage(folder).free < FULL_DISK_BYTES:
            full, cure = "No space left on device", "make space, then run the same command again"
            reason += f"{Fault(full, folder, cure)}\n"
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        print(reason, end="", file=sys.stderr, flush=True)
    except OSError:
        os.write(console, reason.encode())
    sys.exit(1)


def _make(main: Callable, snakemake, pass_stops: bool, leave_stops: bool) -> None:
    try:
        if pass_stops:
            _raise_earlier_stop(snakemake.input)
        main(snakemake)
    except BadInput as problem:
        stop = raised_in(problem.stop, snakemake.rule)
        print(f"STOPPED in {stop.stage}: {stop}", flush=True)
        if not leave_stops:
            sys.exit(1)
        for path in snakemake.output:
            write_stop(path, stop)


def _raise_earlier_stop(paths) -> None:
    for path in paths:
        stop = read_stop(path) if Path(path).is_file() else None
        if stop:
            raise BadInput(**vars(stop))


def _take_memory_of_blas() -> None:
    """Have OpenBLAS take its buffer now: without memory it asks for it again for ever, and a job
    that should fail hangs. Jobs that compute nothing have not loaded it."""
    if numpy := sys.modules.get("numpy"):
        numpy.linalg.det(numpy.eye(2))


def _set_threads(threads: int) -> None:
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    # antspyx takes no seed of its own: without this every registration samples other voxels.
    os.environ["ANTS_RANDOM_SEED"] = "1"


def _redirect_output(log) -> int:
    """Send all output to ``log``; returns a descriptor of what was the standard error."""
    console = os.dup(2)
    if not log:
        return console
    descriptor = os.open(log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    # File descriptors, not sys.stdout: only these catch child processes and C++ libraries.
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    return console
