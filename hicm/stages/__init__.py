"""The stages: paths and settings in, paths out.  Each skips what is done and refuses to mix what was made differently."""
