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
