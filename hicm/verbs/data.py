"""Data sets: download and check them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from hicm.verbs.common import ConfigFile, Overrides, Overwrite, load_settings

if TYPE_CHECKING:
    from hicm.data.hub import download as hub
    from hicm.stages import check

Annotations = Annotated[Sequence[str], "annotation files with sentences, in any format; with Charades-STA's, the csv "
                                       "table of durations after each"]


def download(dataset: Annotated[str, "yc2 or vitt"], *,
             out: Annotated[str, "folder in which data/ and presave/ are made"] = ".",
             only: Annotated[Sequence[str], "kinds of files to fetch, of: annotations features speech model memory; "
                                            "default: all"] = (),
             from_: Annotated[str, "folder or URL laid out like the authors' repositories (data/, presave/); default: "
                                   "those repositories"] = "",
             revision: Annotated[str, "branch, tag or commit of the authors' repositories"] = "main",
             dry_run: Annotated[bool, "print files, sizes and disk space, and stop"] = False,
             accept_changes: Annotated[bool, "accept files that have changed since they were fetched, and record them "
                                             "again"] = False,
             ) -> "hub.Report":
    """Download the released files of a data set.

    Annotations, features, speech, weights and memory.  Files that are here already are verified, and an interrupted
    download continues.
    """
    from hicm.data.hub.download import download

    return download(dataset, out, only, from_, revision, dry_run, accept_changes)


def data_check(config: ConfigFile, *, set_: Overrides = (),
               shallow: Annotated[bool, "only look whether features and speech exist; do not read them"] = False,
               ) -> "check.Report":
    """Check a data set before training.

    Counts videos, events, captions and speech, and lists everything that would stop training or evaluation, by file
    and video, and what the system would not get from the data: text beyond its limits, unknown characters, events of
    one time bin, rows of zeros.  The exit status is 1 when something is wrong.
    """
    from hicm.stages.check import check_data

    return check_data(load_settings(config, set_), deep=not shallow)


def data_chapters(chapters: Annotated[str, "chapters.pkl or .json of VidChapters-7M"],
                  split: Annotated[str, "json list of the split's video ids"],
                  out: Annotated[str, "annotation file to write"]) -> str:
    """Write the annotations of a split of VidChapters-7M.

    They are made from the raw chapters: each one is an event that lasts until the next one starts.
    """
    from hicm.data.pretraining import convert_chapters

    counts = convert_chapters(chapters, split, out)
    return "\n".join([*(f"{count:>9,} {what}" for what, count in counts.items() if count), out])


def data_count_words(annotations: Annotations, *,
                     words: Annotated[str, "what is counted: clip (pieces of words) or glove (words without "
                                           "punctuation)"] = "clip",
                     max_words: Annotated[int, "tokens of a sentence that are read with clip, those at its ends "
                                               "included; as moments.max_words"] = 16,
                     out: Annotated[str, "count file to write"] = "counts.txt", overwrite: Overwrite = False) -> str:
    """Count the words of annotated sentences.

    The first of the file are the classes of masked words (moments.counts).  Made of the training and test splits, it
    is the file that MESM's authors publish.
    """
    from hicm.stages.word_files import write_counts

    return write_counts(annotations, words, out, max_words, overwrite)


def data_tag_words(annotations: Annotations, *,
                   words: Annotated[str, "how moments.words splits sentences: clip, glove (for glove_pickle, too) or "
                                         "each"] = "clip",
                   out: Annotated[str, "file of parts of speech to write"] = "tags.json",
                   overwrite: Overwrite = False) -> str:
    """Write the parts of speech of annotated sentences.

    The moments system masks nouns, verbs, adjectives and adverbs more often (moments.tags).  The tagger is NLTK's;
    its data are fetched once by python -m nltk.downloader averaged_perceptron_tagger_eng.
    """
    from hicm.stages.word_files import write_tags

    return write_tags(annotations, words, out, overwrite)


def data_to_moments(annotations: Annotated[Sequence[str], "annotation files of dense captions, with durations; one per "
                                                          "annotator of the same videos"], *,
                    out: Annotated[str, "file to write, json lines"] = "moments.jsonl",
                    overwrite: Overwrite = False) -> str:
    """Write dense captions as queries for moment retrieval.

    Each sentence of a video becomes a query, and its events the query's windows, in the form of QVHighlights (qid,
    query, vid, duration, relevant_windows).  Times are cleaned, and what that did is counted.
    """
    from hicm.stages.to_moments import write_moments

    return write_moments(annotations, out, overwrite)
