"""Reads: what of the nodes a search kept is handed over.  One file per read, found by its name (`hicm.plugins`).

A read file defines ``read(queries, kept, settings)``: from the batch's `hicm.retrieval.scoring.Queries`, what the
search kept (`hicm.retrieval.records.Kept`) and the `RetrievalConfig` to vectors, mask and slots
(`hicm.retrieval.records.Tokens`).  How many slots there are must not depend on the batch.

Only ``kept.to_read`` is to be handed over, and only by way of `Queries.mean` or `Queries.stand_ins`: they put another
video's caption in the place of what a video may not recall.  Other packages offer a read through the entry-point group
``hicm.reads``.  A read whose slots stand for one node each says ``OF_NODES = True``, one that looks at
``retrieval.temperature`` says ``TEMPERED = True``.
"""
