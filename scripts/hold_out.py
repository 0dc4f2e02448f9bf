"""Hold out a part of the training videos, as files: train_part.json and held.json.

    python scripts/hold_out.py data/yc2_sim/train.json --out data/yc2_sim [--share 0.1] [--seed 0]

The parts are those of data.holdout and data.holdout_seed, which need no files: use these where hicm reads the data, and
the files for other programs.
"""

import argparse
import sys

from hicm.errors import UserError
from hicm.recipes.memory_reads.held import write_parts


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for bad input, after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", help="annotation file of the training split")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--share", type=float, default=0.1, help="of the videos (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which videos (default: %(default)s)")
    asked = parser.parse_args(words)
    try:
        print(*write_parts(asked.annotations, asked.out, asked.share, asked.seed).values(), sep="\n")
    except UserError as error:
        print(f"hold_out: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
