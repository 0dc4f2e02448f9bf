"""Constants shared by the compiled loops and the functions around them.

`loops` imports nothing else of hicm, so that the machine code depends on those files and this one only.
"""

# phrases
FNV_START, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits: the hash of a word
BUCKET_BITS = 20  # strings are looked up by the first bits of their hash, then one by one
BEGIN_BITS = 23  # of the hashes of all beginnings of strings, to rule out most words that begin no string
LONGEST = 7  # words in a phrase of the table

# matches: rows of start2, length2, start1, length1, stage; 1 is the candidate, 2 the reference
EXACT, STEM, SYNONYM, PARAPHRASE = range(4)  # the stages, in the order in which they are tried
MOST = 10_000_000  # matches of one pair: 3,000 times the same word on both sides; the jar runs out of memory before

# alignment
BEAM = 40  # paths that are followed at a time
FIELDS = 6  # of a path
