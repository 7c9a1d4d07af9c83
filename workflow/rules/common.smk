"""What all stages share: the cohort, paths, input functions, and the fingerprint of the code.

The package `glymph` is found through PYTHONPATH, which scripts inherit also inside conda
environments and cluster jobs, so that nothing has to be installed beside the libraries.
"""

import sys
from contextlib import contextmanager
from pathlib import Path

# Of this file, not of the workflow that may use this one as a module.
ROOT = Path(str(workflow.current_basedir)).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from glymph.anat import deepbet
from glymph.common import bundle, fsl, names, provenance
from glymph.common.errors import BadInput, Fault
from glymph.epvs import command_line
from glymph.inputs import cohort, describe
from glymph.inputs.config import settle_types
from glymph.review import ratings, rois

provenance.show_package_to_scripts()


report: "../report/workflow.rst"


settle_types(config)
OUT = config["output_dir"]
INDEX = f"{OUT}/inputs/index.json"
THUMBNAILS = "desc-thumbnails_qc.jpg"


@contextmanager
def for_the_user():
    """What keeps a run from starting, as the one message that a user reads: no line of ours."""
    try:
        yield
    except (cohort.CohortError, BadInput, Fault) as error:
        logger.error(f"The run cannot start:\n{error}")
        sys.exit(1)


def runs_command():
    """Whether a program of the lab's own segments perivascular spaces."""
    return config["epvs"]["engine"] == "command" and not config["metrics_table"]


def begin_run():
    """Before the first job of a real run: take the output folder, write the index."""
    with for_the_user():
        cohort.start(COHORT, config, INDEX)


with for_the_user():
    COHORT = cohort.prepare(config) if workflow.is_main_process else cohort.reread(config, INDEX)
    FSL = None if config["metrics_table"] else fsl.required_version(config)
    if workflow.is_main_process and runs_command():
        command_line.check(config["epvs"]["command"])
        COHORT = COHORT.with_tools(command_line.files(config["epvs"]["command"]))
    ROI_CORRECTIONS = rois.read_roi_corrections(cohort.review_folder(config))
    RATINGS = ratings.rating_files(cohort.review_folder(config))
    for path in RATINGS if workflow.is_main_process else []:
        ratings.read_ratings(path)

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


def units_with(*kinds):
    """The units that have an image of each of these kinds."""
    return [scan.unit for scan in COHORT.scans if all(k in scan.files for k in kinds)]


def rated_units():
    """The units whose perivascular spaces a rater has drawn too."""
    if config["epvs"]["engine"] == "none":
        return []
    return [scan.unit for scan in COHORT.scans if scan.raters and "T1w" in scan.files]


def finetune_scans():
    """The index entries that the rater of `finetune` has drawn."""
    rater = config.get("finetune", {}).get("rater")
    return [scan for scan in COHORT.scans if rater in scan.raters and "T1w" in scan.files]


def finetune_units():
    return [scan.unit for scan in finetune_scans()]


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


def opposite_images(wildcards):
    """Images that may have the opposite phase encoding."""
    return list(scan_of(wildcards).reverse)


def diffusion_sidecars(wildcards):
    """Every JSON that applies to the DWI, or to an image of the opposite phase encoding."""
    return list(scan_of(wildcards).sidecars)


def diffusion_files(wildcards):
    """Every source of a unit's diffusion stage."""
    own = source_file("dwi", "bval", "bvec", "json")(wildcards)
    return [*own, *opposite_images(wildcards), *diffusion_sidecars(wildcards)]


def session_tables():
    """The tables of sessions and scans of all units."""
    return [path for scan in COHORT.scans for path in scan.tables]


def template_files():
    """The template's files, where it is not the bundled one."""
    return list((config["template"] or {}).values())


def user_regions():
    """The masks of alps.user_rois."""
    return [roi["mask"] for roi in (config["alps"]["user_rois"] or {}).values() if "mask" in roi]


def participants_table():
    """The participants table as a list: empty where there is none."""
    return [str(path) for path in [cohort.participants_file(config)] if path]


def has_groups():
    """Whether there is anything to compare: a table made elsewhere, or participants with groups."""
    if config["metrics_table"]:
        return True
    people = COHORT.participants.rows.values() if COHORT.participants else []
    return any(person.get("group") for person in people)


def unordered_sessions():
    """Why the statistics will not know the order of sessions; "" where they will, or are none."""
    subjects = [scan.unit.subject for scan in COHORT.scans]
    if len(subjects) == len(set(subjects)) or not has_groups():
        return ""
    from glymph.stats import sessions  # pandas: only where somebody has several sessions

    people = [(scan.unit, COHORT.participants.of(scan.unit)) for scan in COHORT.scans]
    with for_the_user():
        return sessions.problem_of(people, config["stats"]["sessions"])


def stats_settings(*keys):
    """Keys of `stats` (all of them without ``keys``); {axes} stands for the ALPS version in use."""
    axes = names.alps_version(config["alps"]["placement"], config["alps"]["axes"])

    def filled(value):
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        return value.replace("{axes}", axes) if isinstance(value, str) else value

    return {key: filled(config["stats"][key]) for key in keys or config["stats"]}


def statistics_definitions():
    """Fingerprints of what names and describes the columns of the statistics."""
    return [
        provenance.file_hash(ROOT / "resources" / f"{n}.yaml") for n in ("statistics", "metrics")
    ]


if workflow.is_main_process and (UNORDERED := unordered_sessions()):
    logger.warning(f"Statistics: {UNORDERED}")


def stats_tables(wildcards):
    """Every table of stage stats, so that the report is made anew when one changes."""
    return [
        path
        for name in ("cohort", "demographics", "comparison", "correlations", "discrimination",
                     "longitudinal")
        for path in getattr(rules, f"stats_{name}").output
    ]  # fmt: skip


def agreement_tables():
    """The tables of agreement with raters, where there are any."""
    return [f"{OUT}/group/{name}.tsv" for name in ("agreement", "agreement_summary")
            if rated_units()]  # fmt: skip


def table_settings():
    """The configuration without what only statistics, report or training read."""
    others = ("stats", "threads", "train", "finetune", "review", "bids_validator")
    return {key: value for key, value in config.items() if key not in others}


def participants_settings():
    """What says where the participants table is and how it is read."""
    return {k: config[k] for k in ("bids_dir", "path_table", "metrics_table", "participants")}


def imaging_settings():
    """What made the metrics, for the methods text; None for a table made elsewhere."""
    if config["metrics_table"]:
        return None
    return {key: config[key] for key in ("anat", "epvs", "dwi", "alps")}


def subject_pages():
    """(subject, link from the report) of every subject's page."""
    return [(scan.unit.prefix, f"../{scan.unit.path('', 'qc.html')}") for scan in COHORT.scans]


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
        return [read(folder), bundle.settings_hash(folder)]


def brain_networks():
    """Fingerprints of the networks that find the brain or check who does, by engine."""
    anat = config["anat"]
    used = {anat["brain"], brain_check() if anat["compare_brain"] else None}
    known = {
        "deepbet": deepbet.fingerprint,
        "vbnet": lambda: model_hash("brain", anat["brain_model"], "vbnet"),
    }
    return {engine: known[engine]() for engine in known if engine in used}


def brain_check():
    """The engine that a brain mask is compared with."""
    return deepbet.second_to(config["anat"]["brain"])


def fsl_version(*keys):
    """Version of FSL where it is the engine of one of these keys; None where it is of none."""
    return FSL if fsl.engines(config).keys() & keys else None


def correction_settings():
    """The keys of `dwi` that the correction reads; it registers for one way of undistorting only."""
    unread = {"tensor"} if config["dwi"]["distortion"] == "t1w" else {"tensor", "register"}
    return {key: value for key, value in config["dwi"].items() if key not in unread}


def growing(amount):
    """A resource of ``amount`` at the first attempt, twice as much at the second, and so on."""
    return lambda wildcards, attempt: amount * attempt


def env(name):
    return str(ROOT / "envs" / f"{name}.yaml")


def targets(level):
    """Files of a target: participant (per unit), group (cohort), train or finetune (networks).

    None for a job on a cluster, which has a target of its own.
    """
    if not workflow.is_main_process:
        return []
    if level == "finetune":
        folder = config.get("finetune", {}).get("output_dir", "models")
        return [f"{folder}/epvs-finetuned/models/model.pt"]
    if level == "train":
        models = config.get("train", {})
        weights = "{output_dir}/{network}/models/model.pt"
        return [weights.format(**models, network=n) for n in models.get("networks", [])]
    if cohort.no_dataset(config):
        return []
    if level == "group":
        pages = [f"{OUT}/report/report.html"] if has_groups() else []
        if config["metrics_table"]:
            return pages
        names = ["metrics.tsv", "metrics.json", "exclusions.tsv", "flags.tsv", "rejected.tsv"]
        tables = [f"{OUT}/group/{name}" for name in names]
        return [*tables, *agreement_tables(), f"{OUT}/report/qc.html", *pages]
    if config["metrics_table"]:
        return []
    units = [scan.unit for scan in COHORT.scans]
    return (
        of_units(units, "", "metrics.json")
        + of_units(units, "", "qc.html")
        + [f"{OUT}/dataset_description.json"]
        + validator_table()
    )


def inherited_sidecars():
    """Sidecars at the top of the output folder, of images that this cohort has."""
    kinds = {kind for scan in COHORT.scans for kind in scan.files}
    names = describe.sidecars(kinds, config["epvs"]["engine"] != "none")
    return [f"{OUT}/{name}" for name in names]


def validator_table():
    """Where the BIDS validator's findings go, if it is wanted and there is a BIDS folder."""
    wanted = config["bids_validator"] and not config["path_table"]
    return [f"{OUT}/inputs/bids_validator.tsv"] if wanted else []


def files_of_kind(wildcards):
    """The image of a kind by name, with its sidecars: nothing else of the unit matters here."""
    kinds = (
        (wildcards.kind, "bval", "bvec", "json") if wildcards.kind == "dwi" else (wildcards.kind,)
    )
    files = scan_of(wildcards).files
    return {kind: files[kind] for kind in kinds if kind in files}


def checked_files(wildcards):
    """The image of a kind by name with every file that says something of it."""
    of_dwi = diffusion_sidecars(wildcards) if wildcards.kind == "dwi" else []
    inherited = [path for path in of_dwi if path.endswith("dwi.json")]
    return list(dict.fromkeys([*files_of_kind(wildcards).values(), *inherited]))


def t1w_brain(wildcards):
    """The T1w and its brain mask, where the distortion correction wants them and they exist."""
    if config["dwi"]["distortion"] != "t1w" or "T1w" not in scan_of(wildcards).files:
        return []
    return [
        path.format(folder=wildcards.folder, prefix=wildcards.prefix)
        for path in (rules.anat_preproc.output.t1w, rules.anat_preproc.output.mask)
    ]


def of_unit(wildcards, **paths):
    """Paths with the wildcards of a job filled in."""
    return {name: path.format(**wildcards) for name, path in paths.items()}


def aligned(wildcards, kind):
    """The T2w or FLAIR of a unit with the matrix that leads to it; nothing without the image."""
    files = scan_of(wildcards).files
    if kind not in files:
        return {}
    matrix = rules.epvs_align.output.matrix.format(**wildcards, kind=kind)
    return {kind.lower(): files[kind], "matrix": matrix}


def t2w(wildcards):
    return aligned(wildcards, "T2w")


def lesion_sources(wildcards):
    """What shows white-matter lesions: a mask of the lab's own, or the FLAIR."""
    files = scan_of(wildcards).files
    if "lesion_mask" in files:
        return {"lesion_mask": files["lesion_mask"]}
    return aligned(wildcards, "FLAIR")


def epvs_engine(wildcards):
    """What segments a unit's perivascular spaces: a rater's correction before any engine."""
    corrected = "epvs_mask" in scan_of(wildcards).corrected
    return "provided" if corrected else config["epvs"]["engine"]


def epvs_threshold(wildcards):
    """Where a map is cut that this workflow did not make; None for its own engines."""
    others = epvs_engine(wildcards) in ("provided", "command")
    return config["epvs"]["threshold"] if others else None


def epvs_command(wildcards):
    """The lab's own command with the state of its files; None where another engine runs."""
    if epvs_engine(wildcards) != "command":
        return None
    return {"template": config["epvs"]["command"], "files": COHORT.tools}


def command_images(wildcards):
    """What the lab's own command names beside the prepared T1w and T2w, and the unit has."""
    if epvs_engine(wildcards) != "command":
        return {}
    files, named = scan_of(wildcards).files, command_line.named(config["epvs"]["command"])
    found = of_unit(
        wildcards,
        t1w_native=rules.anat_preproc.output.t1w,
        mask=rules.epvs_prepare.output.mask,
    )
    if "t2w_native" in named and "T2w" in files:
        found["t2w_native"] = files["T2w"]
    if {"flair", "flair_native"} & named and "FLAIR" in files:
        matrix = aligned(wildcards, "FLAIR")["matrix"]
        found |= {"flair_native": files["FLAIR"], "flair_matrix": matrix}
    return found


def segment_sources(wildcards):
    """The user's files among those that the perivascular spaces are made of."""
    return [*source_file("epvs_mask")(wildcards), *command_images(wildcards).values()]


def region_engine(wildcards):
    """What finds a unit's regions: a rater's correction before any engine."""
    corrected = "region_labels" in scan_of(wildcards).corrected
    return "provided" if corrected else config["epvs"]["regions"]


def compares_regions(wildcards):
    """Whether atlas and network are compared: provided labels need no second opinion."""
    return config["epvs"]["compare_regions"] and region_engine(wildcards) != "provided"


def region_weights(wildcards):
    """Fingerprint of the regions' network, where it makes or checks them."""
    used = compares_regions(wildcards) or region_engine(wildcards) == "vbnet"
    return REGION_WEIGHTS if used else None


def region_sources(wildcards):
    """What the regions are made of beside the T1w."""
    files = scan_of(wildcards).files
    if region_engine(wildcards) == "provided":
        return {"provided": files["region_labels"]} if "region_labels" in files else {}
    tissues = {name: rules.anat_segment.output[name] for name in ("csf", "gm", "wm")}
    found = of_unit(wildcards, **tissues)
    if region_engine(wildcards) == "atlas" or compares_regions(wildcards):
        found["outlines"] = rules.epvs_atlas.output.outlines
    return found


def roi_corrections(wildcards):
    """What a rater corrected of a unit's ALPS regions."""
    return ROI_CORRECTIONS.get(wildcards.prefix, {})


def corrected_roi_masks(wildcards):
    return [c["mask"] for c in roi_corrections(wildcards).values() if "mask" in c]


def corrections_of(wildcards):
    """Names of all that a rater corrected of a unit."""
    return [*scan_of(wildcards).corrected, *sorted(roi_corrections(wildcards))]


def template_transforms(wildcards):
    """The files that lead from the DWI to the template: through the T1w, or b0's own."""
    if "T1w" in scan_of(wildcards).files:
        found = {
            "to_t1w": rules.dwi_register.output.affine,
            "affine": rules.anat_register.output.affine,
            "warp": rules.anat_register.output.warp,
            "inverse_warp": rules.anat_register.output.inverse_warp,
        }
    else:
        found = {
            name: rules.dwi_register_template.output[name]
            for name in ("affine", "warp", "inverse_warp")
        }
    return {name: path.format(**wildcards) for name, path in found.items()}


def white_matter(wildcards):
    """The unit's white matter, where it has a T1w, and its lesions, where they were sought."""
    if "T1w" not in scan_of(wildcards).files:
        return {}
    found = {"wm": rules.anat_segment.output.wm}
    if config["epvs"]["engine"] != "none":
        found["lesions"] = rules.epvs_census.output.lesions
    return {name: path.format(**wildcards) for name, path in found.items()}


def unit_checks(wildcards):
    kinds = [kind for kind in ("T1w", "T2w", "FLAIR", "dwi") if kind in scan_of(wildcards).files]
    return [unit_path("inputs", f"{kind}.json").format(**wildcards) for kind in kinds]


def unit_facts(wildcards):
    """The facts of every branch that this unit's images allow."""
    files = scan_of(wildcards).files
    found = []
    if "T1w" in files:
        anat = (rules.anat_preproc, rules.anat_register, rules.anat_segment)
        found += [rule.output.facts for rule in anat]
        if config["epvs"]["engine"] != "none":
            found += [rules.epvs_prepare.output.facts, rules.epvs_regions.output.facts]
            found += [rules.epvs_census.output.facts]
            align = rules.epvs_align.output.facts
            found += [align.replace("{kind}", kind) for kind in ("T2w", "FLAIR") if kind in files]
    if "dwi" in files:
        found += [rules.dwi_correct.output.facts, rules.dwi_tensor.output.facts]
        register = rules.dwi_register if "T1w" in files else rules.dwi_register_template
        found += [register.output.facts, rules.alps_index.output.facts]
        found += [rules.dwi_white_matter.output.facts]
    return [path.format(**wildcards) for path in found]


def unit_pictures(wildcards):
    """The images that this unit's page shows, by name."""
    files = scan_of(wildcards).files
    found = {}
    if "T1w" in files:
        found |= {
            "t1w": rules.anat_preproc.output.t1w,
            "mask": rules.anat_preproc.output.mask,
            "warped": rules.anat_register.output.warped,
        }
        if config["epvs"]["engine"] != "none":
            found |= {
                "t1w_1mm": rules.epvs_prepare.output.t1w,
                "t2w_1mm": rules.epvs_prepare.output.t2w,
                "regions_1mm": rules.epvs_regions.output.labels,
                "epvs": rules.epvs_census.output.labels,
                "epvs_not_counted": rules.epvs_census.output.not_counted,
            }
    if "dwi" in files:
        found |= {
            "b0": rules.dwi_correct.output.b0,
            "motion": rules.dwi_correct.output.motion,
            "fa": rules.dwi_tensor.output.fa,
            "v1": rules.dwi_tensor.output.v1,
            "regions": rules.alps_index.output.fixed,
            "regions_adaptive": rules.alps_index.output.adaptive,
        }
    if "T1w" in files and "dwi" in files:
        found["dwi_to_t1w"] = rules.dwi_register.output.facts
    return {name: path.format(**wildcards) for name, path in found.items()}


def report_exclusions():
    """At the end: how many subjects are listed as left out, and where."""
    table = Path(OUT) / "group" / "exclusions.tsv"
    rows = table.read_text(encoding="utf-8").splitlines()[1:] if table.is_file() else []
    if rows:
        logger.info(f"{len(rows)} entries in {table}: results that do not exist, and why.")


def report_failures():
    """After an error: what to do next."""
    logger.info(
        f"Some jobs failed; the last lines of their logs stand above ({OUT}/logs). All other "
        "subjects were finished. Run the same command again to retry only what is missing, or "
        "leave a subject out with: exclude: [sub-XX]"
    )
