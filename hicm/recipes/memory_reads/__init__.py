"""Does a memory help a captioner?  Cells that are trained, each predicted again with other inputs, and what differs."""
