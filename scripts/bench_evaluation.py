"""Time a whole evaluation, native against the Java tools, on the same files in one run.

    python scripts/bench_evaluation.py PREDICTIONS REFERENCES...

The native time is that of a fresh process, start-up included, after one that filled the caches.  The Java time is that
of the same evaluator with CoreNLP and the METEOR jar, each started once: kinder than toolkits that start Java per
metric and threshold.
"""

import argparse
import subprocess
import sys
import time

NATIVE = "from hicm.dvc_eval import evaluate; evaluate({0!r}, {1!r})"
JAVA = """
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.meteor import JarMeteor
from hicm.dvc_eval.tokenise import JarTokeniser
with JarMeteor() as meteor:
    evaluate({0!r}, {1!r}, tokeniser=JarTokeniser(), meteor=meteor)
"""


def seconds(code: str) -> float:
    """Wall time of a fresh Python process that runs ``code``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions")
    parser.add_argument("references", nargs="+")
    arguments = parser.parse_args()
    native, java = (code.format(arguments.predictions, arguments.references) for code in (NATIVE, JAVA))
    first = seconds(native)
    warm = min(seconds(native) for _ in range(3))
    slow = seconds(java)
    print(f"native, first run here    {first:7.2f} s\nnative, warm, best of 3   {warm:7.2f} s\n"
          f"Java tools, started once  {slow:7.2f} s  ({slow / warm:.1f} x)")


if __name__ == "__main__":
    main()
