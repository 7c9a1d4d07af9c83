"""What the rules of stage group ask of the cohort and the configuration."""


def session_tables():
    """The tables of sessions and scans of all units."""
    return [path for scan in COHORT.scans for path in scan.tables]


def table_settings():
    """The configuration without what only statistics, report or training read."""
    others = ("stats", "threads", "train", "finetune", "review", "bids_validator", "plan")
    return {key: value for key, value in config.items() if key not in others}


def participants_settings():
    """What says where the participants table is and how it is read."""
    return {k: config[k] for k in ("bids_dir", "path_table", "metrics_table", "participants")}


def rated_units():
    """The units whose perivascular spaces a rater has drawn too."""
    if config["epvs"]["engine"] == "none":
        return []
    return [scan.unit for scan in COHORT.scans if scan.raters and "T1w" in scan.files]


def agreement_tables():
    """The tables of agreement with raters, where there are any."""
    return [f"{OUT}/group/{name}.tsv" for name in ("agreement", "agreement_summary")
            if rated_units()]  # fmt: skip
