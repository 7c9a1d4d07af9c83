"""Accuracy of the network of perivascular spaces on held-out synthetic heads, against Frangi.

    python benchmarks/epvs_synthesis.py OUT.tsv [--heads 40] [--bundle FOLDER] [--threads 2]

Heads come from seeds that no training draws. Every setting is measured on the part of the brain
that holds the regions, inside the true regions. Frangi's threshold is tuned, per setting, on other
heads. Writes one row per setting and method; prints also recall by region, length and largest
partial volume of an object.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd

from glymph.common.bundle import folder_of, load_bundle
from glymph.epvs import atlas
from glymph.epvs.census import find_objects
from glymph.epvs.segment import by_frangi, by_network
from glymph.train.images import ORDINARY, outside
from glymph.train.samples import whole_head

SEED = 5_000_000
SETTINGS = {
    "ordinary": ORDINARY,
    "noisy, inside": replace(ORDINARY, noise_t1w=0.09, noise_t2w=0.09),
    "low contrast, inside": replace(ORDINARY, contrast=0.6),
    "thick T2w, inside": replace(ORDINARY, slice_mm=4.0, shift_mm=0.8),
    "T1w only": replace(ORDINARY, t2w=False),
    "outside: noise": outside("noise"),
    "outside: blur": outside("blur"),
    "outside: contrast": outside("contrast"),
    "outside: slices": outside("slices"),
    "outside: shift": outside("shift"),
}
LONG_MM = 3.0
THRESHOLDS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85)


class Tally:
    """Sums over heads of one setting and method."""

    def __init__(self):
        self.both = self.sizes = 0
        self.hits = self.wanted = self.right = self.found = 0
        self.counts = []

    def add(self, found: np.ndarray, truth: np.ndarray, domain: np.ndarray) -> list:
        mine, theirs = (
            find_objects(m.astype(np.float32), domain, np.eye(4)) for m in (found, truth)
        )
        found, truth = found & (domain > 0), truth & (domain > 0)
        self.both += 2 * int((found & truth).sum())
        self.sizes += int(found.sum() + truth.sum())
        hits = [(o, bool(found[tuple(o.voxels.T)].any())) for o in theirs]
        self.hits += sum(hit for o, hit in hits if o.length >= LONG_MM)
        self.wanted += sum(o.length >= LONG_MM for o, _ in hits)
        long = [o for o in mine if o.length >= LONG_MM]
        self.right += sum(bool(truth[tuple(o.voxels.T)].any()) for o in long)
        self.found += len(long)
        self.counts.append((len(theirs), len(mine)))
        return hits

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
            "mean_true_count": true.mean(),
            "mean_count": measured.mean(),
        }


def tubes_of(head: int) -> int:
    """From none to 150, the same for every setting."""
    return int(np.random.default_rng(head).choice([0, 5, 10, 20, 40, 80, 150]))


def tune_frangi(taken) -> float:
    """The vesselness threshold of the best Dice on two heads of yet other seeds."""
    scores = defaultdict(lambda: [0, 0])
    for head in (1, 2):
        image, truth, _, domain = whole_head(SEED + 900_000 + head, taken, 40)
        t2w = image[1] if taken.t2w else None
        share = by_frangi(image[0], t2w, domain, 1.0)
        vesselness = share / np.maximum(1 - share, 1e-9)
        inside = domain > 0
        for threshold in THRESHOLDS:
            found = (vesselness > threshold) & inside
            scores[threshold][0] += 2 * (found & truth).sum()
            scores[threshold][1] += found.sum() + (truth & inside).sum()
    return max(scores, key=lambda t: scores[t][0] / max(scores[t][1], 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--outside-heads", type=int, default=10)
    parser.add_argument("--bundle")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    bundle = load_bundle(folder_of("epvs", options.bundle), options.threads)
    rows, detail = [], defaultdict(lambda: [0, 0])
    for name, taken in SETTINGS.items():
        heads = options.heads if name == "ordinary" else options.outside_heads
        threshold = tune_frangi(taken)
        network, frangi = Tally(), Tally()
        for head in range(heads):
            image, truth, share, domain = whole_head(SEED + head, taken, tubes_of(head))
            t2w = image[1] if taken.t2w else None
            found = by_network(image[0], t2w, domain, bundle) > 0.5
            hits = network.add(found, truth, domain)
            if head < options.outside_heads:
                frangi.add(by_frangi(image[0], t2w, domain, threshold) > 0.5, truth, domain)
            if name == "ordinary":
                for item, hit in hits:
                    for key in kinds(item, share):
                        detail[key][0] += hit
                        detail[key][1] += 1
            print(f"{name}: {head + 1} of {heads}", flush=True)
        rows.append({"setting": name, "method": "network"} | network.row())
        rows.append({"setting": name, "method": f"frangi > {threshold}"} | frangi.row())
        pd.DataFrame(rows).to_csv(options.out, sep="\t", index=False, float_format="%.4f")
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
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
    assert atlas.names()  # the regions can be read before hours are spent
    main()
