"""The recipes that come with hicm: settings files and captions of ``configs/``, wherever hicm is installed."""

from pathlib import Path

from hicm.errors import UserError


def packaged_config(name: str | Path) -> Path:
    """The settings file that ``name`` stands for.

    A file of that path (relative to the current folder) comes first.  Otherwise ``yc2``, ``yc2.yaml`` and
    ``configs/yc2.yaml`` are the recipe that comes with hicm, found from a wheel, an editable installation and a
    checkout.  Any other path is returned as it is.  Only the settings file is looked up this way: the paths inside it
    (``data/...``, ``presave/...``) stay relative to the current folder.

    Raises UserError when neither a file nor a recipe has that name.
    """
    path = Path(name)
    if path.exists() and not path.is_dir():
        return path
    if path.parent not in (Path(), Path("configs")) or path.suffix not in ("", ".yaml"):
        return path
    recipes = {recipe.stem: recipe for recipe in sorted(_folder().glob("*.yaml"))}
    if path.stem in recipes:
        return recipes[path.stem]
    if path.exists():
        return path
    raise UserError(f"{name}: settings file cannot be read (No such file or directory); expected a path, or a recipe "
                    f"of hicm: {', '.join(recipes)}")


def packaged_captions(name: str | Path) -> Path:
    """The file of captions at that path, or else, for a bare name, the one of that name in ``configs/``."""
    path = Path(name)
    ours = _folder() / path.name
    return ours if path.parent == Path() and not path.exists() and ours.is_file() else path


def _folder() -> Path:
    """``configs/``: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"
