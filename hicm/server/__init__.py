"""``hicm serve``: videos in through a page or an HTTP API, captions out.

The server process (`app`, `run`) holds the queue and never decodes a video.  `probe` looks at an upload in a process of
its own, and one `worker` process holds the models and captions one video at a time, so that a crash costs one job.
"""
