"""How well a system captions videos that are several times as long as those it was trained on."""
