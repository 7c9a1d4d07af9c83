"""Accuracy of the network of perivascular spaces on held-out synthetic heads, against Frangi.

    python benchmarks/epvs_synthesis.py OUT.tsv [--heads 40] [--bundle FOLDER] [--jobs 2]

Heads come from seeds that no training draws. Every setting is measured on the part of the brain
that holds the regions, inside the true regions. Frangi's threshold is tuned, per setting, on other
heads. Writes one row per setting and method; prints also recall by region, length and largest
partial volume of an object.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from glymph.common import legend
from glymph.epvs.census import (
    PROBABILITY,
    elsewhere,
    find_objects,
    mask_of,
    not_counted,
    without,
)
from glymph.epvs.content import with_fluid
from glymph.epvs.fluid import at_walls
from glymph.epvs.lesions import like_lesions, shown
from glymph.epvs.segment import by_frangi, by_network, reading_of
from glymph.networks.run import open_bundle
from glymph.train.images import ORDINARY, outside
from glymph.train.samples import TOUCHED, whole_head

SEED = 5_000_000
SETTINGS = {
    "ordinary": ORDINARY,
    "noisy, inside": replace(ORDINARY, noise_t1w=0.09, noise_t2w=0.09),
    "low contrast, inside": replace(ORDINARY, contrast=0.6),
    "faint, inside": replace(ORDINARY, contrast=0.3),
    "thick T2w, inside": replace(ORDINARY, slice_mm=4.0, shift_mm=0.8),
    "T1w only": replace(ORDINARY, t2w=False),
    "outside: noise": outside("noise"),
    "outside: blur": outside("blur"),
    "outside: contrast": outside("contrast"),
    "outside: slices": outside("slices"),
    "outside: shift": outside("shift"),
}
AGAINST_FRANGI = ("ordinary", "low contrast, inside", "outside: noise")
"""Settings in which the filter is measured too; on the volume of a head it takes half a minute."""
LONG_MM = 3.0
THRESHOLDS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85)


class Tally:
    """Sums over heads of one setting and method."""

    def __init__(self):
        self.both = self.sizes = 0
        self.hits = self.wanted = self.right = self.found = 0
        self.counts, self.volumes, self.fluids = [], [], []

    def add(self, mine: list, head) -> list:
        """Objects that were counted in a head against its own; returns (object, found or not)."""
        found = mask_of(mine, head.label.shape) > 0
        truth = head.label & (head.domain > 0)
        theirs = find_objects(truth.astype(np.float32), head.domain, np.eye(4))
        self.both += 2 * int((found & truth).sum())
        self.sizes += int(found.sum() + truth.sum())
        hits = [(o, bool(found[tuple(o.voxels.T)].any())) for o in theirs]
        self.hits += sum(hit for o, hit in hits if o.length >= LONG_MM)
        self.wanted += sum(o.length >= LONG_MM for o, _ in hits)
        # What is right is judged by all that a space fills, not by its voxels over the half alone.
        touched = head.share > TOUCHED
        long = [o for o in mine if o.length >= LONG_MM]
        self.right += sum(bool(touched[tuple(o.voxels.T)].any()) for o in long)
        self.found += len(long)
        self.counts.append((len(theirs), len(mine)))
        true = head.share[head.domain > 0].sum()
        self.volumes.append((true, sum(o.volume for o in mine)))
        self.fluids.append((true, sum(o.fluid for o in mine)))
        return hits

    def merge(self, other: Tally) -> None:
        sums = ("both", "sizes", "hits", "wanted", "right", "found")
        for name in (*sums, "counts", "volumes", "fluids"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def row(self) -> dict:
        recall, precision = self.hits / max(self.wanted, 1), self.right / max(self.found, 1)
        true, measured = np.array(self.counts).T
        spread = len(true) > 2 and true.std() > 0 and measured.std() > 0
        return {
            "heads": len(true),
            "dice": self.both / max(self.sizes, 1),
            "object_recall": recall,
            "object_precision": precision,
            "object_f1": 2 * recall * precision / max(recall + precision, 1e-9),
            "count_correlation": np.corrcoef(true, measured)[0, 1] if spread else np.nan,
            "most_in_empty_head": measured[true == 0].max() if (true == 0).any() else np.nan,
            "mean_true_count": true.mean(),
            "mean_count": measured.mean(),
            "volume_ratio": np.divide(*np.sum(self.volumes, axis=0)[::-1]),
            "fluid_ratio": np.divide(*np.sum(self.fluids, axis=0)[::-1]),
        }


def tubes_of(head: int) -> int:
    """From none to 150, the same for every setting."""
    return int(np.random.default_rng(head).choice([0, 5, 10, 20, 40, 80, 150]))


def tune_frangi(heads: int) -> dict[str, float]:
    """Per setting, the vesselness threshold of the best Dice on heads of yet other seeds."""
    scores = defaultdict(lambda: [0, 0])
    for number in range(heads):
        head = whole_head(SEED + 900_000 + number, 40)
        inside = head.domain > 0
        for name in AGAINST_FRANGI:
            share = frangi_share(head, SETTINGS[name], 1.0)
            vesselness = share / np.maximum(1 - share, 1e-9)
            for threshold in THRESHOLDS:
                found = (vesselness > threshold) & inside
                scores[name, threshold][0] += 2 * (found & head.label).sum()
                scores[name, threshold][1] += found.sum() + (head.label & inside).sum()
    dice = {key: both / max(sizes, 1) for key, (both, sizes) in scores.items()}
    return {name: max(THRESHOLDS, key=lambda t: dice[name, t]) for name in AGAINST_FRANGI}


def frangi_share(head, taken, threshold: float) -> np.ndarray:
    image = head.take(taken)
    return by_frangi(image[0], image[1] if taken.t2w else None, head.domain, threshold)


def configured(key: str):
    """What config/config.yaml says of the stage."""
    text = (Path(__file__).parents[1] / "config" / "config.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["epvs"][key]


def as_counted(found, reading, t1w, t2w, brain, domain, least: float) -> list:
    """The objects of the map ``found`` without what the census leaves out, walls and what is unlike
    CSF, with the fluid that they hold."""
    objects = find_objects(found, domain, np.eye(4), reading=reading)
    left_out = [at_walls(objects, t1w, brain, domain)]
    if t2w is not None:
        pair = shown(t1w, t2w, brain, domain)
        left_out.append(like_lesions(objects, pair, domain, least)[0])
    objects = without(objects, list(map(any, zip(*left_out, strict=True))))
    others = not_counted(found, domain, mask_of(objects, domain.shape), reading)
    others |= elsewhere(found, domain, reading)
    return with_fluid(objects, others, t1w, t2w, brain, domain, np.eye(4))


def measure(number: int, options, thresholds: dict) -> tuple[dict, dict]:
    """One head: its tallies by (setting, method), and (hits, objects) by kind of object."""
    tallies, detail = defaultdict(Tally), defaultdict(lambda: np.zeros(2, int))
    bundle = open_bundle("epvs", options.bundle, 1)
    head = whole_head(SEED + number, tubes_of(number))
    places = head.tissues.hull > 0.5, head.domain
    for name in SETTINGS if number < options.other_heads else ["ordinary"]:
        taken = SETTINGS[name]
        image = head.take(taken)
        t2w = image[1] if taken.t2w else None
        found = by_network(image[0], t2w, head.domain, bundle)
        mine = as_counted(found, reading_of(bundle), image[0], t2w, *places, options.csf_likeness)
        hits = tallies[name, "network"].add(mine, head)
        if number < options.frangi_heads and name in AGAINST_FRANGI:
            found = frangi_share(head, taken, thresholds[name])
            mine = as_counted(found, PROBABILITY, image[0], t2w, *places, options.csf_likeness)
            tallies[name, "frangi"].add(mine, head)
        for item, hit in hits if name == "ordinary" else []:
            for key in kinds(item, head.share):
                detail[key] += (hit, 1)
    return dict(tallies), dict(detail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--heads", type=int, default=40, help="in the ordinary setting")
    parser.add_argument("--other-heads", type=int, default=6, help="in every other one")
    parser.add_argument("--frangi-heads", type=int, default=4, help="on which Frangi runs too")
    parser.add_argument("--bundle")
    parser.add_argument("--csf-likeness", type=float, default=configured("csf_likeness"),
                        help="as epvs.csf_likeness")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="heads at a time")
    options = parser.parse_args()
    thresholds = tune_frangi(2) if options.frangi_heads else {}
    tallies, detail = defaultdict(Tally), defaultdict(lambda: np.zeros(2, int))
    one = partial(measure, options=options, thresholds=thresholds)
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for number, (own, kinds_of_own) in enumerate(pool.map(one, range(options.heads)), 1):
            for key, tally in own.items():
                tallies[key].merge(tally)
            for key, count in kinds_of_own.items():
                detail[key] += count
            rows = [{"setting": s, "method": m} | tally.row() for (s, m), tally in tallies.items()]
            table = pd.DataFrame(rows)
            table.to_csv(options.out, sep="\t", index=False, float_format="%.4f")
            print(f"head {number} of {options.heads}", flush=True)
    print(table.to_string(index=False, float_format="%.3f"))
    empty = [found for true, found in tallies["ordinary", "network"].counts if true == 0]
    print("\nObjects in heads without any", empty)
    print("Frangi thresholds", thresholds)
    print("\nObject recall, ordinary setting")
    for key, (hit, count) in sorted(detail.items()):
        print(f"{key:32s} {hit:5d} of {count:5d}  {hit / count:.2f}")


def kinds(item, share: np.ndarray) -> list[str]:
    full = float(share[tuple(item.voxels.T)].max())
    return [
        f"region {item.region}",
        "length " + ("below 3" if item.length < 3 else "3 to 6" if item.length < 6 else "over 6"),
        "largest share "
        + ("below .45" if full < 0.45 else ".45 to .7" if full < 0.7 else "over .7"),
    ]


if __name__ == "__main__":
    assert legend.names()  # the regions can be read before hours are spent
    main()
