"""Make hicm/dvc_eval/selftest.json from tests/golden/dvc_eval: made-up captions and the reference scorers' numbers.

Run from the repository root, after make_dvc_eval.py and make_dvc_protocols.py; needs no Java.

    python tests/golden/make_selftest.py
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("dvc_eval")
TARGET = Path(__file__).resolve().parent.parent.parent / "hicm" / "dvc_eval" / "selftest.json"


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def case(protocol: str, annotators: int, scores: dict[str, float], **rules: str) -> dict[str, Any]:
    return {"protocol": protocol, "annotators": annotators, "rules": rules, "scores": scores}


# protocol, annotators, what the golden file calls it
SODA = (("soda", 1, "file1"), ("soda", 2, "merged"), ("soda-multi", 2, "multi_reference"))


def soda(entries: dict[str, Any], protocol: str, annotators: int, files: str, roles: str) -> dict[str, Any]:
    """Each type: precision, recall and F.  Type d asks no METEOR and has no roles."""
    found = {}
    for kind in "abcd" if roles == "swapped" else "abc":
        names = (f"soda_{kind}_p", f"soda_{kind}_r", f"soda_{kind}")
        found |= zip(names, entries[f"made_up/{kind}/{roles}/{files}"]["PRF"], strict=True)
    return case(protocol, annotators, found, soda_roles=roles)


def content() -> dict[str, Any]:
    toolkit, others = load("scores"), load("protocols")
    return {
        "predictions": load("predictions"),
        "references": [load("references_1"), load("references_2")],
        "cases": [
            case("vidchapters", 1, toolkit["one reference file"]["scores"]),
            case("vidchapters", 2, toolkit["two reference files"]["scores"]),
            case("activitynet-2018", 2, others["activitynet-2018"]["mean"] | others["paragraph"]["scores"]),
            *(case(name, 2, others[name]["mean"]) for name in ("activitynet-2021", "activitynet-2018-corpus-cider")),
            case("vidchapters-vc", 1, others["vidchapters-vc"]["scores"]),
            case("video-recap", 1, others["video-recap"]["nlg_eval"]),
            *(soda(others["soda"], *how, roles) for how in SODA for roles in ("swapped", "corrected")),
        ],
    }


def text() -> str:
    return json.dumps(content(), ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
