"""The vocabulary: V text pieces, then B time tokens ``<time=0>`` .. ``<time=B-1>`` (Vid2Seq)."""

import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Tokenizer

from hicm.errors import UserError
from hicm.files import refuse_stand_ins

PAD, EOS = 0, 1


class Vocabulary:
    """A T5 tokenizer with time tokens.

    ``text_size`` is V (sentinels included), ``bins`` is B, ``size`` is V + B, ``special`` holds the ids of special
    tokens.  Raises UserError when the tokenizer already has another number of time tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, bins: int) -> None:
        names = [f"<time={b}>" for b in range(bins)]
        present = tokenizer.get_vocab()
        if bins and names[0] not in present:
            tokenizer.add_tokens(names)
        self.tokenizer = tokenizer
        self.bins = bins
        self.size = len(tokenizer)
        self.text_size = self.size - bins
        if bins and tokenizer.convert_tokens_to_ids(names) != list(range(self.text_size, self.size)):
            raise UserError(f"tokenizer: the {bins} time tokens must be the last ids; set captioner.time_bins to the "
                            "number this tokenizer was made with")
        self.special = frozenset(tokenizer.all_special_ids)

    def time_id(self, bin_: int) -> int:
        """Token id of time bin 0..B-1."""
        return self.text_size + bin_

    def sentinel(self, span: int) -> int:
        """Token id of ``<extra_id_span>``, with ``span`` counted from 0: V - 1 - span."""
        return self.text_size - 1 - span

    def encode(self, text: str, limit: int) -> list[int]:
        """Ids of a text without special tokens, at most ``limit`` of them."""
        return self.tokenizer.encode(text, add_special_tokens=False)[:limit]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of text ids, with runs of white space collapsed."""
        return " ".join(self.tokenizer.decode(ids, skip_special_tokens=False).split())

    def save(self, folder: Path) -> None:
        """Write the tokenizer, including the time tokens, in the Hugging Face layout."""
        self.tokenizer.save_pretrained(folder)


def searched(offline: bool) -> str:
    """Where something of Hugging Face was looked for, for error messages."""
    return "in the local cache (offline is on)" if offline else "on disk or on the Hugging Face hub"


def load_vocabulary(name: str, bins: int, offline: bool = False) -> Vocabulary:
    """The tokenizer of a hub name or folder, with ``bins`` time tokens.

    Raises UserError when it is neither on disk nor on the hub, or cannot be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=offline)
    except Exception as error:  # a damaged file can raise nearly anything
        refuse_stand_ins(name, "tokenizer")
        if Path(name).is_dir():
            raise UserError(f"{name}: tokenizer cannot be read; are its files complete?") from error
        if not isinstance(error, OSError | ValueError):
            raise
        raise UserError(f"captioner.tokenizer: {name}: no tokenizer found {searched(offline)}; give a hub name, a "
                        "folder, or 'train'") from error
    return Vocabulary(tokenizer, bins)


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
        Path(folder, "spiece.model").write_bytes(model.getvalue())
        tokenizer = T5Tokenizer.from_pretrained(folder, extra_ids=100)
    return Vocabulary(tokenizer, bins)
