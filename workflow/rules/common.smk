"""What several stages share: the cohort, paths, input functions, and the fingerprint of the code.

The package `glymph` is found through PYTHONPATH, which scripts inherit also inside conda
environments and cluster jobs, so that nothing has to be installed beside the libraries.
"""

import sys
from contextlib import contextmanager
from pathlib import Path

# Of this file, not of the workflow that may use this one as a module.
ROOT = Path(str(workflow.current_basedir)).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from glymph.common import fsl, names, provenance
from glymph.common.errors import BadInput, Fault
from glymph.epvs import command_line
from glymph.inputs import cohort, plan
from glymph.inputs.config import settle_types
from glymph.networks import bundle
from glymph.review import rois

provenance.show_package_to_scripts()


report: "../report/workflow.rst"


settle_types(config)
OUT = config["output_dir"]
INDEX = cohort.index_place(config)
THUMBNAILS = "desc-thumbnails_qc.jpg"


@contextmanager
def for_the_user():
    """What keeps a run from starting, as the one message that a user reads: no line of ours."""
    try:
        yield
    except (cohort.CohortError, BadInput, Fault) as error:
        logger.error(f"The run cannot start:\n{error}")
        sys.exit(1)


def made_of(scan):
    """What the results of one unit are made of."""
    corrected = ROI_CORRECTIONS.get(scan.unit.prefix, {})
    engines = {"networks": plan.networks(config), "tools": COHORT.tools, "fsl": FSL}
    return plan.made_of(scan, config, ROOT, COHORT.sources, corrected, engines)


def begin_run():
    """Before the first job of a real run: take the output folder, write the index."""
    with for_the_user():
        cohort.start(COHORT, config, INDEX)
        if cohort.of_subjects(config):
            plan.check_jobs({job.rule.name for job in workflow.dag.needrun_jobs()}, OUT)


with for_the_user():
    COHORT = cohort.prepare(config) if workflow.is_main_process else cohort.reread(config, INDEX)
    ROI_CORRECTIONS = rois.read_roi_corrections(cohort.review_folder(config))
    FSL = None if config["metrics_table"] else fsl.required_version(config)
    COMMANDS = command_line.in_use(config)
    if workflow.is_main_process:
        for command in COMMANDS.values():
            command_line.check(command)
        tools = {key: command_line.files(c.template) for key, c in COMMANDS.items()}
        COHORT = COHORT.with_tools(tools)

    if workflow.is_main_process and config["plan"] == plan.COHORT:
        COHORT = COHORT.of_finished({s.unit.prefix: made_of(s) for s in COHORT.scans}, OUT)

if workflow.is_main_process and cohort.no_dataset(config):
    logger.info("No dataset is read (bids_dir: null); the target 'train' needs none.")
elif workflow.is_main_process and config["metrics_table"]:
    logger.info(f"Statistics and report of {config['metrics_table']}; no images are read.")
elif workflow.is_main_process:
    for line in COHORT.summary():
        logger.info(line)


onstart:
    begin_run()


wildcard_constraints:
    folder=names.FOLDER_PATTERN,
    prefix=names.PREFIX_PATTERN,


def unit_path(datatype, name):
    """Path of a result of one unit, with the wildcards {folder} and {prefix}."""
    return str(Path(OUT) / "{folder}" / datatype / f"{{prefix}}_{name}")


def unit_log(rule):
    return f"{OUT}/logs/{{folder}}/{{prefix}}_{rule}.log"


def unit_benchmark(rule):
    return f"{OUT}/benchmarks/{{folder}}/{{prefix}}_{rule}.tsv"


def of_units(units, datatype, name):
    """Paths of one result for many units."""
    return [f"{OUT}/{unit.path(datatype, name)}" for unit in units]


def scan_of(wildcards):
    """The index entry of a job's unit."""
    return COHORT.by_prefix[wildcards.prefix]


def source_file(*kinds):
    """Input function: the unit's files of these kinds, those that exist."""

    def files(wildcards):
        found = scan_of(wildcards).files
        return [found[kind] for kind in kinds if kind in found]

    return files


def states(paths):
    """What these files were when the run began: notices a changed file with an old time."""
    return {path: COHORT.sources[path] for path in map(str, paths) if path in COHORT.sources}


def sources(wanted, more=()):
    """Param function: the `states` of what the input function ``wanted`` finds, and of ``more``."""

    def found(wildcards):
        files = wanted(wildcards)
        return states([*(files.values() if isinstance(files, dict) else files), *more])

    return found


def diffusion_sidecars(wildcards):
    """Every JSON that applies to the DWI, or to an image of the opposite phase encoding."""
    return list(scan_of(wildcards).sidecars)


def template_files():
    """The template's files, where it is not the bundled one."""
    return list((config["template"] or {}).values())


def participants_table():
    """The participants table as a list: empty where there is none."""
    return [str(path) for path in [cohort.participants_file(config)] if path]


def has_groups():
    """Whether there is anything to compare: a table made elsewhere, or participants with groups."""
    if config["metrics_table"]:
        return True
    people = COHORT.participants
    return bool(people) and any(people.of(scan.unit).get("group") for scan in COHORT.scans)


def code(script):
    """Fingerprint of the science that a script of `workflow/scripts` imports."""
    return provenance.code_hash(ROOT / "workflow" / "scripts" / script)


def model_hash(name, configured, engine):
    """Fingerprints of a network's weights, checked at the start, and of how it is run.

    None where no network runs.
    """
    if engine != "vbnet":
        return None
    folder = bundle.folder_of(name, configured)
    read = bundle.check_weights if workflow.is_main_process else bundle.weights_hash
    with for_the_user():
        return [read(folder), bundle.settings_hash(folder, name)]


def fsl_version(*keys):
    """Version of FSL where it is the engine of one of these keys; None where it is of none."""
    return FSL if fsl.engines(config).keys() & keys else None


def growing(amount):
    """A resource of ``amount`` at the first attempt, twice as much at the second, and so on."""
    return lambda wildcards, attempt: amount * attempt


def env(name):
    return str(ROOT / "envs" / f"{name}.yaml")


def of_unit(wildcards, **paths):
    """Paths with the wildcards of a job filled in."""
    return {name: path.format(**wildcards) for name, path in paths.items()}
