"""What the rules of stage review ask of the cohort, the configuration and each other."""

from glymph.review import named


def check_raters_files():
    """Stop where a rater's table means nothing, or a file names nobody of the dataset."""
    if config["metrics_table"] and not RATINGS and not OBJECT_RATINGS:
        return  # the table is not read for nobody's sake
    with for_the_user():
        gone = named.check_units(
            cohort.review_folder(config),
            cohort.known_units(COHORT, config),
            Path(OUT),
            corrections=not config["metrics_table"],
            part=cohort.of_subjects(config),
        )
    if gone:
        logger.info(f"Review: not in the dataset any more, and passed over: {', '.join(gone)}.")
