"""What a run is asked for, and what it says at its end."""


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
    if level == "group" and cohort.of_subjects(config):
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
    of_dataset = [f"{OUT}/dataset_description.json", *validator_table()]
    names = {
        "all": ["metrics.json", "qc.html"],
        plan.SUBJECTS: ["metrics.json", "qc.html", plan.NOTE],
        plan.COHORT: [],  # they are there
    }[config["plan"]]
    units = [scan.unit for scan in COHORT.scans]
    made = [path for name in names for path in of_units(units, "", name)]
    return made + ([] if cohort.of_subjects(config) else of_dataset)


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
