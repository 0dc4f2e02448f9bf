"""Make hicm/moments_eval/selftest.json: a part of the made-up moments that MESM's and Moment-DETR's code has scored.

Run from the repository root; needs the file of scores that the tests read (tests/moments_eval/conftest.py).

    python tests/golden/make_moments_selftest.py SCORES
"""

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent.parent / "hicm" / "moments_eval" / "selftest.json"
LEVELS = ("Fair", "Good", "VeryGood")
QUERIES = 8  # of a set that is not scored as a whole
# What the tables call a score -> what we call it
NAMES = {"average": "mAP", "miou": "mIoU"}


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def windows(block: dict[str, Any], ids: list[str], clips: bool = False) -> list[dict[str, Any]]:
    keys = ("qid", "pred_relevant_windows", *(["pred_saliency_scores"] if clips else []))
    return [{key: row[key] for key in keys} for row in block["predictions_raw"] if str(row["qid"]) in ids]


def truth(block: dict[str, Any], ids: list[str], clips: bool = False) -> list[dict[str, Any]]:
    rated = ["relevant_clip_ids", "saliency_scores"] if clips else []
    keys = ("qid", "query", "duration", "relevant_windows", *rated)
    return [{key: row[key] for key in keys} for row in block["ground_truth"] if str(row["qid"]) in ids]


def whole(block: dict[str, Any], protocol: str) -> dict[str, Any]:
    """All queries of a set, with the printed tables of all lengths and of each range."""
    ids = list(block["per_query"])
    scores = {f"{'' if part == 'full' else f'{part}-'}{NAMES.get(at, f'{kind}@{at}')}": round(value / 100, 4)
              for part, tables in block["metrics"].items() if part != "brief"
              for kind, table in (("mAP", tables["MR-mAP"]), ("R1", tables["MR-R1"])) for at, value in table.items()}
    return {"name": f"{protocol}, printed tables", "protocol": protocol, "rules": {}, "decimals": 2,
            "annotations": truth(block, ids), "predictions": windows(block, ids), "scores": scores}


def some(block: dict[str, Any], protocol: str, thresholds: list[float], clips: bool = False) -> dict[str, Any]:
    """The first queries of a set, with the means of what each of them got."""
    ids = list(block["per_query"])[:QUERIES]
    own = [block["per_query"][name] for name in ids]
    scores = {"mIoU": mean([one["first_window_iou"] for one in own]),
              "mAP": mean([mean(one["ap"]) for one in own]),
              **{f"mAP@{t:g}": mean([one["ap"][at] for one in own]) for at, t in enumerate(thresholds)}}
    if clips:
        scores |= {f"HL-mAP-{level}": mean([mean(block["highlight_per_query_ap"][name][level]) for name in ids])
                   for level in LEVELS}
    return {"name": f"{protocol}, {len(ids)} queries{' with highlights' if clips else ''}", "protocol": protocol,
            "rules": {"highlights": True} if clips else {}, "decimals": None,
            "annotations": truth(block, ids, clips), "predictions": windows(block, ids, clips), "scores": scores}


def text(golden: dict[str, Any]) -> str:
    blocks, thresholds = golden["blocks"], golden["thresholds"]
    cases = [whole(blocks["charades_vgg"], "mesm-charades-vgg"), some(blocks["charades"], "mesm-charades", thresholds),
             some(blocks["tacos"], "mesm-tacos", thresholds),
             some(blocks["qvhighlights"], "mesm-qvhighlights", thresholds, clips=True)]
    return json.dumps({"cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
