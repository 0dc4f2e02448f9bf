"""Captions as words: tokenisers, METEOR, and how alike two texts are by BLEU, CIDEr and ROUGE-L."""
