"""Shapes of windows: where a video is cut into the W windows that query the memory.  One file per shape, found by its
name (`hicm.plugins`).

A shape file defines ``windows(frames, counted, settings)``: from frames float32 [T, D] of one video, the rows that
count (bool [T]: the real ones, or all without ``retrieval.mask_padding``) and the `RetrievalConfig` to the rows of each
window, bool [W, T].  Windows follow one another in time and share no row; one without rows recalls nothing.  The result
must depend on the video alone.  Other packages offer a shape through the entry-point group ``hicm.window_shapes``.
"""
