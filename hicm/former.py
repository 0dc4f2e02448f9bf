"""Settings under the names that hicm 0.1.0 had for them; its files and run folders are still read."""

from typing import Any

from hicm.errors import UserError

_OBJECTIVE = ("label_smoothing", "generative", "denoising", "denoising_memory", "noise_density", "noise_span",
              "rescale_time_tokens")
_DECODE = ("batch", "beams", "max_tokens", "length_penalty", "repetition_penalty", "sample", "top_p", "temperature",
           "grammar", "isolated_time_tokens", "seed")

# former name -> name
FORMER = {**{f"train.{name}": f"captioner.objective.{name}" for name in _OBJECTIVE},
          **{f"predict.{name}": f"captioner.decode.{name}" for name in _DECODE},
          "captioner.offline": "offline"}


def renew(given: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """``given`` (sections of settings) under today's names, and the former names that stood in it.

    Raises UserError when a setting stands there under both names.
    """
    content = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    found = []
    for former, name in FORMER.items():
        section, key = former.split(".")
        if not isinstance(content.get(section), dict) or key not in content[section]:
            continue
        found.append(former)
        value = content[section].pop(key)
        *path, last = name.split(".")
        place = content
        for part in path:
            inner = place.get(part)
            place[part] = dict(inner) if isinstance(inner, dict) else {}
            place = place[part]
        if last in place:
            raise UserError(f"{where}: {former} is the former name of {name}, and both are given; keep {name}")
        place[last] = value
    if found and content.get("predict") == {}:
        del content["predict"]
    return content, found
