"""Why a memory helps a captioner, or does not: what is recalled, where the tree loses it, what the captioner takes."""
