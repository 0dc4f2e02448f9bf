"""Silences warnings of libraries that users can do nothing about.  Needs only the standard library."""

import warnings


def quiet_libraries() -> None:
    """Ignore the warnings of torch and of what is built on it."""
    warnings.filterwarnings("ignore", module=r"(torch|transformers|huggingface_hub|accelerate|tensorboard)\b")
