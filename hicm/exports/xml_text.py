"""XML as text."""

import xml.etree.ElementTree as ET


def xml_text(root: ET.Element, doctype: str = "") -> str:
    """An indented document in UTF-8; ``doctype`` is what follows ``<!DOCTYPE``."""
    ET.indent(root)
    declared = f"<!DOCTYPE {doctype}>\n" if doctype else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{declared}{ET.tostring(root, encoding="unicode")}\n'
