"""What the rules of stage anat ask of the cohort, the configuration and each other."""

from glymph.anat import deepbet


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


def check_bet():
    """Stop where anat.brain: bet lacks its library; environments of conda bring it themselves."""
    own = workflow.deployment_settings and workflow.deployment_settings.deployment_method
    if config["anat"]["brain"] == "bet" and not own:
        from glymph.anat import brain  # slow to load: only for who asks for it

        with for_the_user():
            brain.bet_library()


if workflow.is_main_process:
    check_bet()
