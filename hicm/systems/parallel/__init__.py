"""All events of a video at once, each with its caption: CM2, and PDVC without a memory."""
