"""Alternative texts: a notebook keeps them beside its pictures, the book puts them into its own."""

import json
from binascii import a2b_base64
from hashlib import sha256
from pathlib import Path

from docutils import nodes

PNG = "image/png"


def alternatives(notebook: Path) -> dict[str, str]:
    """sha256 of a picture -> its text, as nbconvert finds it: under the picture's type, or beside it."""
    found = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            if picture := output.get("data", {}).get(PNG):
                about = output["metadata"]
                digest = sha256(a2b_base64("".join(picture))).hexdigest()
                found[digest] = about.get(PNG, {}).get("alt") or about.get("alt", "")
    return found


def describe(app, doctree: nodes.document) -> None:
    page = Path(app.env.doc2path(app.env.docname))
    if page.suffix == ".ipynb":
        texts = alternatives(page)
        for picture in doctree.findall(nodes.image):
            if text := texts.get(Path(picture["uri"]).stem):
                picture["alt"] = text


def setup(app):
    app.connect("doctree-read", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
