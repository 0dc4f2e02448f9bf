"""`generate` of transformers over the authors' T5, whose base class in transformers 4.28 had it."""

from typing import Any

from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput


class Search(T5ForConditionalGeneration):
    """What `generate` is called on, with the settings of ``t5``: ``theirs`` computes."""

    def __init__(self, t5: T5ForConditionalGeneration, theirs: nn.Module) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(t5.__dict__, theirs=theirs)

    def ids(self, **how: Any) -> Tensor:
        """Ids [B, t] from the decoder start token on; ``how``: arguments of `generate`."""
        return self.generate(past_key_values=_Carrier(self.theirs), **how)

    def forward(self, decoder_input_ids: Tensor, past_key_values: "_Carrier", encoder_outputs: BaseModelOutput,
                attention_mask: Tensor, **others: Any) -> Seq2SeqLMOutput:
        """One step of the decoder."""
        found = self.theirs(decoder_input_ids=decoder_input_ids[:, -1:], past_key_values=past_key_values.held,
                            encoder_outputs=encoder_outputs, attention_mask=attention_mask, use_cache=True,
                            return_dict=True)
        past_key_values.held = list(found.past_key_values)
        return Seq2SeqLMOutput(logits=found.logits, past_key_values=past_key_values)


class _Carrier(EncoderDecoderCache):
    """A cache of `generate` that holds the authors' tuples of keys and values, one per layer."""

    def __init__(self, theirs: Any) -> None:
        super().__init__(DynamicCache(), DynamicCache())
        self.theirs = theirs
        self.held: list[tuple[Tensor, ...]] | None = None

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0 if self.held is None else self.held[0][0].shape[2]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        assert self.held is not None
        for at, layer in enumerate(self.held):  # all at once would take twice the memory
            self.held[at] = self.theirs._reorder_cache([layer], beam_idx)[0]
