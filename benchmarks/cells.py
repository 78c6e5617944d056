"""Small JSON files, one for each result."""

import json


def write(path, content):
    """Writes a file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n")
    part.rename(path)
