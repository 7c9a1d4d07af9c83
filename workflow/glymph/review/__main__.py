"""python -m glymph.review RESULTS: look through the cohort and rate; ratings are saved at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from glymph.review.serve import LOOPBACK, make_server, usual_port


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m glymph.review", description=__doc__)
    parser.add_argument("results", type=Path, help="output folder of the workflow")
    parser.add_argument("--folder", type=Path, help="where ratings go (default: RESULTS/review)")
    parser.add_argument("--port", type=int, help="default: always the same for this folder")
    chosen = parser.parse_args()
    folder = chosen.folder or chosen.results / "review"
    port = usual_port(chosen.results, folder) if chosen.port is None else chosen.port
    try:
        server = make_server(chosen.results, folder, port)
    except OSError as error:
        parser.exit(2, f"{error}\n")
    print(f"Open http://{LOOPBACK}:{server.server_address[1]}/ in a browser on this machine.")
    print(f"Ratings are saved in {folder}. Stop with Ctrl-C, then run snakemake again.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
