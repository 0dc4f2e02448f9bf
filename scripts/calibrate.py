"""Which settings of decoding suit a captioner: its number of events, the length of its sentences, its unsure events.

    python scripts/calibrate.py RUN [--split holdout] [--try event_bias=-1,1 word_bias=0.5] [--drop 0.1 0.2]

The run captions videos that it was not trained on, by default the part that data.holdout held out.  One setting of
captioner.decode is tried after the other, each beside the best values so far, with all events and without those of the
least confidence (captioner.decode.min_confidence).  The table says how many events and words there are beside
the annotated ones, and F1, SODA_c and CIDEr; the best settings are those with the highest SODA_c.  OUT gets
calibration.json, table.md and the predictions.  Run again, it continues; a folder with a calibration that was asked for
differently is refused.  The reported split is refused unless --on-report is given: settings chosen on it would make its
scores too good.
"""

import argparse
import sys
from pathlib import Path

from hicm.errors import UserError
from hicm.interrupts import handled
from hicm.recipes.calibration.plan import DROPPED, TRIED, make_plan
from hicm.recipes.calibration.run import calibrate
from hicm.recipes.calibration.table import write_table
from hicm.recipes.script import run_script


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = " ".join(f"{name}={','.join(values)}" for name, values in TRIED.items())
    found.add_argument("run", help="run folder of a captioner")
    found.add_argument("--split", default="", help="videos to caption (default: holdout)")
    found.add_argument("--try", nargs="*", action="extend", dest="tried", metavar="NAME=VALUE,VALUE",
                       help=f"settings of captioner.decode and their values (default: {default}); without any, none is "
                            "tried")
    found.add_argument("--drop", nargs="*", type=float, default=list(DROPPED), metavar="SHARE", help="shares of the "
                       f"least sure events to leave out (default: {' '.join(map(str, DROPPED))}); without any, none is")
    found.add_argument("--confidence", default="both", choices=["words", "times", "both"],
                       help="captioner.decode.confidence for --drop (default: %(default)s)")
    found.add_argument("--protocol", default="", help="of the scores (default: evaluate.protocol of the run)")
    found.add_argument("--out", default="", help="folder to write (default: presave/calibration/<run>_<split>)")
    found.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                       help="further settings of prediction")
    found.add_argument("--samples", type=int, default=1000, help="of the bootstrap (default: %(default)s)")
    found.add_argument("--on-report", action="store_true", help="allow the split that the run reports")
    return found


def read_tried(given: list[str] | None) -> dict[str, list[str]] | None:
    """The settings and values of --try.  Raises UserError for one that is not of that form."""
    if given is None:
        return None
    found: dict[str, list[str]] = {}
    for one in given:
        name, _, values = one.partition("=")
        if not (name and all(values.split(","))):
            raise UserError(f"--try {one}: expected NAME=VALUE,VALUE, such as event_bias=-1,1")
        found.setdefault(name, []).extend(values.split(","))
    return found


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, 2 for bad input, after one line that says what is wrong, or 128 + n after signal n."""
    asked = parser().parse_args(words)

    def work() -> None:
        plan = make_plan(Path(asked.run), asked.split, read_tried(asked.tried), asked.drop, asked.confidence, asked.set,
                         asked.on_report, asked.protocol, asked.samples)
        out = Path(asked.out or f"presave/calibration/{plan.label.replace('/', '_')}_{plan.split}")
        with handled():
            found = calibrate(plan, out, lambda line: print(line, flush=True))
        print("\n" + write_table(found, plan, out).read_text(encoding="utf-8").strip())

    return run_script("calibrate", work)


if __name__ == "__main__":
    sys.exit(main())
