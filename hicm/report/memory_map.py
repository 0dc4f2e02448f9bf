"""A memory bank as one page: its captions on a 2-D map, and its tree to click through.

P levels, n points drawn, D embedding width.  Points are captions (level 0), or the nodes of level 1 where the bank
keeps no embeddings of captions.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm import __version__
from hicm.errors import UserError
from hicm.files import atomic
from hicm.memory.bank import load_bank
from hicm.provenance import now
from hicm.report.memory_map_outline import Outline

COMPONENTS = 50  # of the PCA before t-SNE
STEPS = 500  # of t-SNE, the first half of them with early exaggeration
ANGLE = 0.7  # of t-SNE; 20 % faster than 0.5, with as many true neighbours (4,000 captions of YouCook2)
FEW = 12  # up to this many points, PCA alone places them
MANY = 2000  # from this many points on, several threads are faster than one, even on a busy machine


def draw_map(folder: str | Path, out: str | Path, points: int = 12_000, seed: int = 0) -> Path:
    """Draw the bank in ``folder`` as the page ``out`` and, beside it, the map alone as a PNG; returns the page.

    The page needs no network: a map of the captions coloured by top cluster, and the tree as tiles to click into, both
    with full texts on hover.  Of more than ``points`` captions, a sample drawn with ``seed`` is shown.  Raises
    UserError when there is no bank, when ``out`` is not an .html file or cannot be written, or when ``points`` is
    below 1.

    Source of the projection: t-SNE (van der Maaten and Hinton, JMLR 2008) by scikit-learn, of normalised embeddings.
    """
    out = Path(out)
    if points < 1:
        raise UserError(f"memory map: points={points}; expected 1 or more")
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{out}: not the name of a page; expected a file name that ends in .html")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file in it, such as {out / 'map.html'}")
    outline = Outline(load_bank(folder))
    with atomic(out.with_suffix(".png")) as picture, atomic(out) as page:  # fails before the work, not after
        _draw(outline, Path(folder), page, picture, points, seed)
    return out


def project(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """Positions float32 [n, 2] for embeddings [n, D]: those of high cosine are close together.

    Normalised, PCA to 50 dimensions, t-SNE; PCA alone for a handful of points.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    unit = embeddings.astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    components = min(COMPONENTS, *unit.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # identical points have no variance to explain
        reduced = PCA(components, random_state=seed).fit_transform(unit)
    flat = np.zeros((len(unit), 2), np.float32)
    flat[:, :components] = reduced[:, :2]
    if len(unit) <= FEW:
        return flat
    start = 1e-4 * flat / max(float(flat[:, 0].std()), 1e-6)
    start += 1e-6 * np.random.default_rng(seed).standard_normal(start.shape)  # so that identical points can separate
    perplexity = min(30.0, (len(unit) - 1) / 3)
    with threadpool_limits(1 if len(unit) < MANY else None):
        return TSNE(perplexity=perplexity, init=start.astype(np.float32), max_iter=STEPS, angle=ANGLE,
                    random_state=seed).fit_transform(reduced)


def _draw(outline: Outline, folder: Path, page: Path, picture: Path, points: int, seed: int) -> None:
    from hicm.report.map_figures import cloud_figure, drawn_nodes, picture_bytes, tree_figure

    total = len(outline.embeddings)
    ids = np.arange(total)
    if total > points:
        ids = np.sort(np.random.default_rng(seed).choice(total, points, replace=False))
    with tqdm(total=3, disable=len(ids) < 1000, unit="step", bar_format="{l_bar}{bar}| {elapsed}") as steps:
        steps.set_description(f"t-SNE of {len(ids):,} points{', about a minute' if len(ids) > 5000 else ''}")
        places = project(outline.embeddings[ids], seed)
        steps.update()
        steps.set_description("picture")
        name = "/".join(folder.resolve().parts[-2:]).strip("/")
        picture.write_bytes(picture_bytes(outline, ids, places, name))
        steps.update()
        steps.set_description("page")
        nodes = drawn_nodes(outline)
        _write(page, {
            "name": name, "bank": outline.bank, "unit": outline.unit, "base": outline.base, "drawn": len(ids),
            "total": total, "levels": _levels(outline), "all_nodes": sum(map(len, outline.bank.sizes)),
            "nodes": len(nodes), "map": _embed(cloud_figure(outline, ids, places), "map"),
            "tree": _embed(tree_figure(outline, nodes), "tree")})
        steps.update()


def _levels(outline: Outline) -> list[tuple[str, ...]]:
    """Rows as printed, top level first: level, nodes, median and most children, median and most captions."""
    rows = []
    for number in range(outline.bank.depth, 0, -1):
        children = np.asarray([len(ids) for ids in outline.bank.levels[number - 1].children])
        spread = [f"{np.median(children):.0f}", f"{children.max():,}"] if children.any() else ["–", "–"]
        sizes = outline.bank.sizes[number]
        rows.append((str(number), f"{len(sizes):,}", *spread, f"{np.median(sizes):.0f}", f"{sizes.max():,}"))
    return rows


def _embed(figure: Any, name: str) -> str:
    """The figure as a <div> with this id and the script that fills it; < and / in texts are escaped."""
    from plotly.io import to_html

    buttons = [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]] if name == "map" else [["toImage"]]
    return to_html(figure, {"displaylogo": False, "responsive": True, "scrollZoom": True, "modeBarButtons": buttons},
                   full_html=False, include_plotlyjs=False, div_id=name)


def _write(path: Path, content: dict[str, Any]) -> None:
    import jinja2
    from plotly.offline import get_plotlyjs

    from hicm.report.figures import DARK, LIGHT

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("memory_map.html").render(
        content, plotly=get_plotlyjs(), light=LIGHT, dark=DARK, date=now(), version=__version__)
    path.write_text(page, encoding="utf-8")
