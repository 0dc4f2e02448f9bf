"""Released weights of HiCM2 and Vid2Seq: read as plain data, checked against the settings, written as a run folder."""
