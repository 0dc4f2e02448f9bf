"""The stages: paths and settings in, paths out.  Each skips what is done and never mixes different results."""
