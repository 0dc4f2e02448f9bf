"""Videos that are held out to select a checkpoint may not be in the memory that its training reads."""

from hicm.config import Config
from hicm.data.annotations import held_out
from hicm.data.ids import youtube_id
from hicm.errors import UserError
from hicm.memory.bank import Bank


def refuse_held_out(bank: Bank, config: Config) -> None:
    """UserError when the memory holds, or may hold, captions of the videos that are to select the checkpoint."""
    if not config.data.holdout:
        return
    remedy = "build it again under these settings, or set data.holdout=0"
    if bank.leaves is None:
        raise UserError(f"{config.bank}: does not say whose captions it was built from, so data.holdout cannot be kept "
                        f"to; {remedy}")
    known = sorted(held_out(config.data) & set(map(youtube_id, bank.leaves.videos)))
    if known:
        raise UserError(f"{config.bank}: was built with captions of {len(known)} held-out videos ({known[0]}, ...); "
                        f"{remedy}")
