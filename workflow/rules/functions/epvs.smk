"""What the rules of stage epvs ask of the cohort, the configuration and each other."""


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
    """What shows white-matter lesions: a mask of the lab's own, its own program where the unit has
    the scans that this needs, or the FLAIR."""
    files, program = scan_of(wildcards).files, COMMANDS.get("epvs.lesion_command")
    if "lesion_mask" in files:
        return {"lesion_mask": files["lesion_mask"]}
    if program and not command_line.lacking(program.template, files):
        return of_unit(wildcards, lesion_map=rules.epvs_lesions.output.probability)
    return aligned(wildcards, "FLAIR")


def corrected_epvs(wildcards):
    """The unit's perivascular spaces as a rater corrected them, where an engine found them: what the
    rater kept is measured in the engine's map."""
    scan = scan_of(wildcards)
    given = "epvs_mask" in scan.corrected and config["epvs"]["engine"] != "provided"
    return [scan.files["epvs_mask"]] if given else []


def census_sources(wildcards):
    """The user's files among those that the objects are made of."""
    return [*lesion_sources(wildcards).values(), *corrected_epvs(wildcards)]


def provided_epvs(wildcards):
    """The unit's perivascular spaces where masks are the engine: a rater's correction before the
    lab's own."""
    given = config["epvs"]["engine"] == "provided"
    return source_file("epvs_mask")(wildcards) if given else []


def epvs_threshold():
    """Where a map is cut that this workflow did not make; None for its own engines."""
    others = config["epvs"]["engine"] in ("provided", "command")
    return config["epvs"]["threshold"] if others else None


def command_of(key):
    """The lab's own command of this key with the state of its files; None where there is none."""
    if key not in COMMANDS:
        return None
    return {"template": COMMANDS[key].template, "files": COHORT.tools[key]}


def command_images(key):
    """Input function: what the lab's own command of this key names beside the prepared T1w and T2w,
    and the unit has."""

    def images(wildcards):
        if key not in COMMANDS:
            return {}
        files, named = scan_of(wildcards).files, command_line.named(COMMANDS[key].template)
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

    return images


def segment_sources(wildcards):
    """The user's files among those that the perivascular spaces are made of."""
    return [*provided_epvs(wildcards), *command_images("epvs.command")(wildcards).values()]


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


# Now and not within the rules: a folder that is no bundle stops the start with one message.
EPVS_WEIGHTS = model_hash("epvs", config["epvs"]["model"], config["epvs"]["engine"])
REGION_WEIGHTS = model_hash(
    "regions",
    config["epvs"]["regions_model"],
    "vbnet" if config["epvs"]["compare_regions"] else config["epvs"]["regions"],
)
