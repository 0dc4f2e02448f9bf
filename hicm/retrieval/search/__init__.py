"""Searches: which nodes of the memory a window keeps.  One file per search, found by its name (`hicm.plugins`).

A search file defines ``search(queries, settings, levels)``: from the batch's `hicm.retrieval.scoring.Queries`, the
`RetrievalConfig` and the levels to be read (ascending, 1 = finest, 0 = the captions) to what is kept
(`hicm.retrieval.records.Kept`), or None when nothing at all is to be handed over.  It may also define

    NEEDS_BANK = False        it never looks into the bank, so none has to exist; ``levels`` is then empty
    BEAM = False              it takes no notice of ``retrieval.beam``; a user who sets one is warned
    check(bank, settings)     raises UserError when the settings do not fit the bank, before anything is read

Scores come from `Queries.scores`, or, for a few candidates, from `Queries.listed`; both already leave out what a video
may not recall.  Other packages offer a search through the entry-point group ``hicm.searches``.
"""
