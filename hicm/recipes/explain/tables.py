"""What was found as Markdown tables, with a sentence on how to read each."""

from collections.abc import Iterator, Sequence

from hicm.recipes.explain.branches import BEST, DESCEND, FLAT, OWN
from hicm.recipes.explain.fit import Fit
from hicm.recipes.explain.levels import SOURCES
from hicm.recipes.explain.recall import EVENT
from hicm.recipes.explain.run import Explained
from hicm.recipes.explain.taken import Choice, Copying, Taken
from hicm.recipes.memory_reads.table import NONE, markdown

LEVELS = (
    "**Recall by level.** Cosine of the embeddings of the annotated caption and of a node: mean (10 %, 50 %, 90 % of "
    "the events). *recalled* is the best of the nodes that the run's search keeps, *best of the level* the one that "
    "a search of the whole level finds, *nearest of the level* the best that any search could find.")
BRANCHES = (
    "**Where the right branch is lost.** The right caption is the one of the memory that is nearest to the annotated "
    "one. Percent of the events for which it, or the node above it, is among the nodes kept at each level.")
FITS = (
    "**Windows and events.** Recall at the finest level that is read, by the intersection over union of an event and "
    "the window that overlaps it most. *first* and *nearest* are cosines of the annotated caption and what is read; "
    "*right, %*: the right caption, or the node above it, is read. *event* asks with the frames of the event itself.")
INSIDE = (
    "*Recalled for the event*: at its words, the percent of the attention to what was recalled for some time that "
    "goes to what was recalled for the time of the event.")
NO_BRANCHES = (
    "*Where the right branch is lost* is left out: the memory does not hold the embeddings of its captions, so that "
    "no caption of it is known to be the right one.")
NO_COPYING = "*Copied words* are left out: this captioner copies none (`captioner.copy_words`)."
NO_WORDS = "*Copied words* are left out: the captioner wrote no caption with a time."
NO_PLACES = "*Recalled for the event* is left out: nothing that was recalled has a time of its own."
NO_CHOICE = "*The choice of the sentence* is left out: no caption has recalled sentences and fits an annotated event."


def tables(found: Explained, command: str) -> str:
    """All tables and how they came about."""
    parts = [_about(found), LEVELS, level_table(found), *([BRANCHES, branch_table(found)] if found.branches else [
        NO_BRANCHES]), FITS, fit_table(found.fits), *_taken(found.taken, found.videos), notes(found, command)]
    return "\n\n".join(parts)


def notes(found: Explained, command: str) -> str:
    """How the numbers came about."""
    return f"`{command}`, {found.date[:10]}, {found.machine}."


def _about(found: Explained) -> str:
    left = found.events - found.compared
    said = f"{found.compared:,} annotated events" + (f" ({left:,} more overlap no window)" if left else "")
    own = "; the captions of a video itself are left out" if found.own_out else ""
    return f"Run `{found.run}` on split `{found.split}`: {found.search}. {said}{own}."


# what is recalled

def level_table(found: Explained) -> str:
    """A row per level, a column per source."""
    cells = {(one.level, one.source): f"{one.mean:.3f} ({', '.join(f'{q:.2f}' for q in one.quantiles)})"
             + (f", {one.events:,} events" if one.events < found.compared else "") for one in found.levels}
    return markdown(["level", "nodes", *SOURCES], [
        [level_name(level), f"{nodes:,}", *(cells.get((level, source), NONE) for source in SOURCES)]
        for level, nodes in found.nodes.items()])


def branch_table(found: Explained) -> str:
    """A row per way to search, a column per level, coarse to fine."""
    kept = {(one.way, one.count, one.level): f"{100 * one.kept:.1f}" for one in found.branches}
    head = [f"{level_name(level)} ({nodes:,})" for level, nodes in found.nodes.items()]
    return markdown(["search", *head], [
        [way_name(way, count, found.search), *(kept.get((way, count, level), "") for level in found.nodes)]
        for way, count in dict.fromkeys((one.way, one.count) for one in found.branches)])


def fit_table(fits: Sequence[Fit]) -> str:
    """A row per shape of windows and bin."""
    def row(one: Fit) -> Iterator[str]:
        yield one.shape
        yield NONE if one.shape == EVENT else "all" if one.whole else f"{one.low:.1f} to {one.high:.1f}"
        yield from (f"{one.events:,}", f"{100 * one.share:.1f}")
        yield from (NONE if value is None else f"{value:.3f}" for value in (one.first, one.nearest))
        yield NONE if one.right is None else f"{100 * one.right:.1f}"

    return markdown(["windows", "overlap", "events", "%", "first", "nearest", "right, %"],
                    [list(row(one)) for one in fits], 2)


def level_name(level: int) -> str:
    """A level in words."""
    return f"level {level}" if level else "captions"


def way_name(way: str, count: int, search: str) -> str:
    """A way to search, in words; ``search``: that of the run.

    >>> way_name("descend", 4, ""), way_name("flat", 1, "")
    ('descend, beam 4, 4 captions', 'flat, 1 caption')
    """
    captions = f"{count} caption{'s' * (count > 1)}"
    return {BEST: "best node of the level", OWN: f"the run: {search.rpartition(', ')[0]}",
            DESCEND: f"descend, beam {count}, {captions}", FLAT: f"flat, {captions}"}[way]


# what the captioner takes

def _taken(found: Taken, videos: int) -> Iterator[str]:
    which = f"all {videos:,} videos" if found.videos == videos else (
        f"{found.videos:,} videos, the first in the order of a hash of their ids")
    yield (f"**What the captioner takes**, in its own captions of {which}; each token is given those before it. "
           "Percent of the cross-attention, mean over heads and tokens; *even*: if all states got the same.")
    yield attention_table(found)
    yield INSIDE if found.located else NO_PLACES
    if found.copying is None:
        yield NO_WORDS if found.copies else NO_COPYING
        return
    yield copying_text(found.copying)
    yield rank_table(found.copying)
    yield NO_CHOICE if found.choice is None else choice_text(found.choice)
    if found.examples:
        yield "The first caption of each of the first videos, and the sentence that gave most of its copied words:"
        yield example_table(found)


def attention_table(found: Taken) -> str:
    """A row per layer and what is being written."""
    groups = list(found.attention[0].shares)
    inside = {one.layer: f"{100 * one.inside:.1f}" for one in found.located}
    head = ["layer", "at", *groups, *(["recalled for the event"] if inside else [])]
    return markdown(head, [
        [layer_name(one.layer), one.position, *(f"{100 * one.shares[group]:.1f}" for group in groups),
         *([inside[one.layer] if one.position == "words" else ""] if inside else [])] for one in found.attention], 2)


def copying_text(one: Copying) -> str:
    """The numbers on copying that need no table."""
    return (f"**Copied words.** {one.pieces:,} word pieces of {one.captions:,} captions. A piece is copied with a "
            f"probability of {one.gate:.2f} before it is known which piece it is, and of {one.copied:.2f} given what "
            f"it is; {100 * one.most:.0f} % of the pieces were copied with more than 0.5. On average "
            f"{one.sentences:.1f} recalled sentences lie in an event, and the one that gives most gives "
            f"{100 * one.one:.0f} % of what a caption copies from them; {100 * one.other:.0f} % of all that is copied "
            "comes from elsewhere (speech, or sentences of no event). Percent of the pieces copied from each sentence, "
            "by the place of its cosine to the query among those in the event; *even*: if all of them gave the same.")


def rank_table(one: Copying) -> str:
    """A column per rank."""
    return markdown(["", *rank_names(len(one.ranks))], [
        [name, *(f"{100 * share:.1f}" for share in shares)]
        for name, shares in (("copied", one.ranks), ("even", one.even))])


def choice_text(one: Choice) -> str:
    """Whether it copies from the right sentence."""
    difference = f"{one.copied - one.first:+.3f}"
    if one.interval is not None:
        difference += " [{:+.3f}, {:+.3f}], 95 % over videos".format(*one.interval)
    return (f"**The choice of the sentence.** {one.captions:,} captions overlap an annotated event by half or more. "
            f"Cosine with the annotated caption: {one.copied:.3f} for the sentence that gave most of the copied words, "
            f"{one.first:.3f} for the one with the highest cosine to the query (a difference of {difference}), "
            f"{one.even:.3f} for the mean of all in the event, {one.nearest:.3f} for the nearest of them.")


def example_table(found: Taken) -> str:
    """A row per caption."""
    return markdown(["video", "seconds", "caption", "sentence", "its rank", "copied, %"], [
        [one.video, f"{one.start:.0f}-{one.end:.0f}", one.caption, one.sentence, str(one.rank),
         f"{100 * one.copied:.0f}"] for one in found.examples], 4)


def layer_name(layer: int) -> str:
    """A layer in words; 0 stands for even attention."""
    return str(layer) if layer else "even"


def rank_names(count: int) -> list[str]:
    """Of the places by cosine; the last stands for all from there on."""
    return [*map(str, range(1, count)), f"{count} or later"]
