"""What the rules of stage stats ask of the cohort, the configuration and each other."""


def unordered_sessions():
    """Why the statistics will not know the order of sessions; "" where they will, or are none."""
    subjects = [scan.unit.subject for scan in COHORT.scans]
    if len(subjects) == len(set(subjects)) or not has_groups():
        return ""
    from glymph.stats import sessions  # pandas: only where somebody has several sessions

    people = [(scan.unit, COHORT.participants.of(scan.unit)) for scan in COHORT.scans]
    with for_the_user():
        return sessions.problem_of(people, config["stats"]["sessions"])


if workflow.is_main_process and (UNORDERED := unordered_sessions()):
    logger.warning(f"Statistics: {UNORDERED}")


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
        provenance.file_hash(ROOT / "resources" / f"{n}.yaml")
        for n in ("statistics", "metrics", "participants")
    ]


def columns_of_the_table():
    """The columns of people's variables in the table; that of this run has them by their names."""
    return config["participants"]["columns"] if config["metrics_table"] else {}


STATS = f"{OUT}/group/stats"


def unfinished():
    """How many subject-sessions a plan of the cohort leaves out since they are not finished."""
    return sum("plan: subjects" in why for why in COHORT.left_out.values())
