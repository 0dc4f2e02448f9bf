"""The vocabulary: V text pieces, then B time tokens ``<time=0>`` .. ``<time=B-1>`` (Vid2Seq).

Weights are rows of numbers, one per piece: they say what they said only with the pieces, in the order, with which they
were trained.  `refuse_other_pieces` compares two vocabularies piece by piece.
"""

import io
import tempfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Tokenizer

from hicm.config import digest
from hicm.errors import UserError
from hicm.files import atomic, atomic_folder, read_json, refuse_stand_ins
from hicm.loading import using_hub

PAD, EOS = 0, 1
TIME = "<time="  # how a time token begins


class Vocabulary:
    """A T5 tokenizer with time tokens.

    ``text_size`` is V (sentinels included), ``bins`` is B, ``size`` is V + B, ``special`` holds the ids of special
    tokens, ``sentinels`` those of ``<extra_id_0>``, ``<extra_id_1>``, ...: V - 1, V - 2, ... in T5's tokenizer.  Raises
    UserError when the tokenizer has another number of time tokens, or is not laid out as T5's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, bins: int) -> None:
        tokenizer.init_kwargs.pop("local_files_only", None)  # else saved: a run that continues would differ
        names = [f"{TIME}{b}>" for b in range(bins)]
        present = tokenizer.get_vocab()
        if (tokenizer.pad_token_id, tokenizer.eos_token_id) != (PAD, EOS):
            raise UserError(f"tokenizer: expected <pad> as token {PAD} and </s> as token {EOS}, as T5 has them, found "
                            f"{tokenizer.pad_token_id} and {tokenizer.eos_token_id}; set captioner.tokenizer to one "
                            "of a T5, or to 'train'")
        if bins and names[0] not in present:
            tokenizer.add_tokens(names)
        self.tokenizer = tokenizer
        self.bins = bins
        self.size = len(tokenizer)
        self.text_size = self.size - bins
        if bins and tokenizer.convert_tokens_to_ids(names) != list(range(self.text_size, self.size)):
            found = sum(name.startswith(TIME) for name in tokenizer.get_vocab())
            raise UserError(f"tokenizer: the {bins} time tokens must be the last ids, and it has {found} time tokens; "
                            "set captioner.time_bins to the number this tokenizer was made with")
        self.special = frozenset(tokenizer.all_special_ids)
        named = map("<extra_id_{}>".format, count())
        self.sentinels: tuple[int, ...] = tuple(present[name] for name in takewhile(present.__contains__, named))

    @property
    def pieces(self) -> list[str]:
        """Every piece by its id, time tokens included."""
        return self.tokenizer.convert_ids_to_tokens(list(range(self.size)))

    @property
    def digest(self) -> str:
        """Hash of the pieces: equal pieces in equal order, equal digest."""
        return digest_of(self.pieces)

    @cached_property
    def blank(self) -> frozenset[int]:
        """The ids of text pieces that alone are white space, or nothing."""
        return frozenset(i for i in range(self.text_size) if i not in self.special and not self.decode([i]))

    def time_id(self, bin_: int) -> int:
        """Token id of time bin 0..B-1."""
        return self.text_size + bin_

    def sentinel(self, span: int) -> int:
        """Token id of ``<extra_id_span>``, with ``span`` counted from 0."""
        return self.sentinels[span]

    def encode(self, text: str, limit: int) -> list[int]:
        """Ids of a text without special tokens, at most ``limit`` of them."""
        return self.tokenizer.encode(text, add_special_tokens=False)[:limit]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of text ids, with runs of white space collapsed."""
        return " ".join(self.tokenizer.decode(ids, skip_special_tokens=False).split())

    def save(self, folder: Path) -> None:
        """Write the tokenizer, including the time tokens, in the Hugging Face layout: a whole folder, or none."""
        with atomic_folder(folder) as temporary:
            self.tokenizer.save_pretrained(temporary)


def digest_of(pieces: Sequence[str]) -> str:
    """Hash of the pieces of a vocabulary."""
    return digest(pieces, 64)


def searched(closed: str) -> str:
    """Where something of Hugging Face was looked for, for error messages; ``closed``: see `hicm.loading.using_hub`."""
    return f"in the local cache ({closed})" if closed else "on disk or on the Hugging Face hub"


def load_vocabulary(name: str, bins: int, offline: bool = False) -> Vocabulary:
    """The tokenizer of a hub name or folder, with ``bins`` time tokens.

    Raises UserError when it is neither on disk nor on the hub, cannot be read, or does not fit.
    """
    tokenizer = _open_tokenizer(name, offline)
    try:
        return Vocabulary(tokenizer, bins)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def load_pieces(name: str, offline: bool = False) -> list[str]:
    """The pieces of a tokenizer by id, with the time tokens that it has; raises as `load_vocabulary`."""
    return Vocabulary(_open_tokenizer(name, offline), 0).pieces


def _open_tokenizer(name: str, offline: bool) -> PreTrainedTokenizerBase:
    with using_hub(name, offline) as closed:
        return _read_tokenizer(name, closed)


def _read_tokenizer(name: str, closed: str) -> PreTrainedTokenizerBase:
    folder = Path(name)
    none = UserError(f"captioner.tokenizer: {name}: no tokenizer found {searched(closed)}; give a hub name, a folder, "
                     "or 'train'")
    try:
        kind = T5Tokenizer if _is_bare(folder) else AutoTokenizer
        found = kind.from_pretrained(name, local_files_only=bool(closed))
    except Exception as error:  # a damaged file can raise nearly anything
        refuse_stand_ins(name, "tokenizer")
        if folder.is_dir():
            inside = " (give the folder tokenizer in it)" if (folder / "tokenizer").is_dir() else ""
            raise UserError(f"{name}: tokenizer cannot be read; are its files complete?{inside}") from error
        if not isinstance(error, OSError | ValueError):
            raise
        raise none from error
    if len(found) - len(found.all_special_ids) < 2:  # made up by transformers, of special tokens and a blank
        raise none
    return found


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds SentencePiece's file and nothing that says whose tokenizer it is."""
    if not (folder / "spiece.model").is_file() or any(
            (folder / file).is_file() for file in ("tokenizer.json", "config.json")):
        return False
    about = folder / "tokenizer_config.json"
    content = read_json(about, "tokenizer configuration") if about.is_file() else {}
    return not (isinstance(content, dict) and "tokenizer_class" in content)


def refuse_other_pieces(theirs: Sequence[str], ours: Sequence[str], what: str, whose: str, remedy: str) -> None:
    """UserError unless two vocabularies are equal piece by piece.

    It reads "<what> has other pieces than <whose>", and says how many each has and which differs first.
    """
    if list(theirs) == list(ours):
        return
    found = []
    for name, count_ in (("text pieces", _text_pieces), ("time tokens", _time_tokens)):
        if count_(theirs) != count_(ours):
            found.append(f"{count_(theirs):,} {name} there and {count_(ours):,} here")
    for number, (there, here) in enumerate(zip(theirs, ours, strict=False)):
        if there != here:
            found.append(f"piece {number} is {there!r} there and {here!r} here")
            break
    raise UserError(f"{what} has other pieces than {whose}: {', '.join(found)}; {remedy}")


def _time_tokens(pieces: Sequence[str]) -> int:
    return sum(piece.startswith(TIME) for piece in pieces)


def _text_pieces(pieces: Sequence[str]) -> int:
    return len(pieces) - _time_tokens(pieces)


def train_vocabulary(texts: Iterable[str], pieces: int, bins: int) -> Vocabulary:
    """A SentencePiece unigram tokenizer in T5's layout (pad 0, EOS 1, unk 2, 100 sentinels), trained on ``texts``.

    ``pieces`` is an upper limit: few texts give fewer pieces.  Deterministic.  Raises UserError when SentencePiece
    cannot be trained on them.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=pieces, hard_vocab_limit=False,
            model_type="unigram", pad_id=PAD, eos_id=EOS, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2,
            character_coverage=1.0)
    except (RuntimeError, OSError) as error:
        raise UserError(f"captioner.tokenizer: train: SentencePiece cannot be trained on these captions "
                        f"({str(error).splitlines()[-1]}); change captioner.vocabulary") from error
    with tempfile.TemporaryDirectory() as folder:
        with atomic(Path(folder, "spiece.model")) as temporary:
            temporary.write_bytes(model.getvalue())
        tokenizer = T5Tokenizer.from_pretrained(folder, extra_ids=100)
    return Vocabulary(tokenizer, bins)
