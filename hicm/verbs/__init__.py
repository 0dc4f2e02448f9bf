"""The commands as functions: what ``hicm VERB`` does, with the same arguments.

>>> from hicm import verbs
>>> verbs.train("configs/yc2.yaml", set_=["train.lr=1e-4"])  # doctest: +SKIP

Each function reads files, writes files and returns what it wrote or found; running it again continues or skips.
Heavy packages are imported when a verb runs, so ``--help`` is quick.

The first line of a verb's docstring is its line in ``hicm --help``.
"""

from hicm.verbs.bench import bench as bench
from hicm.verbs.data import data_chapters as data_chapters
from hicm.verbs.data import data_check as data_check
from hicm.verbs.data import data_count_words as data_count_words
from hicm.verbs.data import data_tag_words as data_tag_words
from hicm.verbs.data import data_to_moments as data_to_moments
from hicm.verbs.data import download as download
from hicm.verbs.demo import demo as demo
from hicm.verbs.imports import data_from_csv as data_from_csv
from hicm.verbs.imports import data_from_elan as data_from_elan
from hicm.verbs.imports import data_from_label_studio as data_from_label_studio
from hicm.verbs.imports import data_from_subtitles as data_from_subtitles
from hicm.verbs.memory import memory_ablate as memory_ablate
from hicm.verbs.memory import memory_build as memory_build
from hicm.verbs.memory import memory_diff as memory_diff
from hicm.verbs.memory import memory_export as memory_export
from hicm.verbs.memory import memory_import as memory_import
from hicm.verbs.memory import memory_map as memory_map
from hicm.verbs.memory import memory_merge as memory_merge
from hicm.verbs.memory import memory_search as memory_search
from hicm.verbs.memory import memory_show as memory_show
from hicm.verbs.memory import memory_stats as memory_stats
from hicm.verbs.models import convert as convert
from hicm.verbs.models import predict as predict
from hicm.verbs.models import retrieve as retrieve
from hicm.verbs.models import train as train
from hicm.verbs.moments import moments_compare as moments_compare
from hicm.verbs.moments import moments_evaluate as moments_evaluate
from hicm.verbs.moments import moments_protocols as moments_protocols
from hicm.verbs.moments import moments_selftest as moments_selftest
from hicm.verbs.published import pull as pull
from hicm.verbs.published import push as push
from hicm.verbs.published import reproduce as reproduce
from hicm.verbs.published import results as results
from hicm.verbs.scores import compare as compare
from hicm.verbs.scores import evaluate as evaluate
from hicm.verbs.scores import protocols as protocols
from hicm.verbs.scores import report as report
from hicm.verbs.scores import selftest as selftest
from hicm.verbs.search import search as search
from hicm.verbs.serve import serve as serve
from hicm.verbs.videos import caption as caption
from hicm.verbs.videos import features as features
from hicm.verbs.videos import speech as speech
from hicm.verbs.viewer import export as export
from hicm.verbs.viewer import view as view

# Commands as they are typed, in the order of the help; "data from-elan" is data_from_elan.
GROUPS = {
    "Try it": ("demo", "caption", "search", "serve", "view", "export"),
    "Data": ("download", "data check", "features", "speech", "data from-subtitles", "data from-label-studio",
             "data from-elan", "data from-csv", "data to-moments"),
    "Memory": ("memory build", "memory show", "memory search", "memory stats", "memory map", "memory ablate"),
    "Train and caption": ("train", "predict", "retrieve", "convert"),
    "Score and report": ("evaluate", "compare", "moments evaluate", "moments compare", "report"),
    "Reproduce and share": ("reproduce", "pull", "push"),
    "Rarely needed": ("data chapters", "data count-words", "data tag-words", "memory import", "memory export",
                      "memory merge", "memory diff", "protocols", "moments protocols", "moments selftest", "selftest",
                      "bench", "results"),
}
