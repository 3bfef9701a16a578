"""Mentions of pages become links: "notebook 03", "Notebooks 01, 03 and 04", "`solutions.ipynb`"."""

import re
from pathlib import PurePosixPath

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

NUMBER = r"(?:\d\d|[aA]\d)"
MENTION = re.compile(rf"\b[Nn]otebooks?\s+({NUMBER}(?:(?:,\s+|,?\s+and\s+|\s+to\s+){NUMBER})*)\b")
NOT_IN = (nodes.reference, nodes.literal, nodes.title, nodes.literal_block, nodes.raw, addnodes.pending_xref)


class MentionsBecomeLinks(SphinxTransform):
    """Every number that follows the word "notebook" and has a page, other than on that page itself."""

    default_priority = 400

    def apply(self, **kwargs) -> None:
        names = [n for n in self.env.found_docs if n.startswith("notebooks/")]
        pages = {PurePosixPath(name).name[:2].lower(): name for name in names}
        pages.pop(PurePosixPath(self.env.docname).name[:2] if self.env.docname in names else "", None)
        for text in list(self.document.findall(nodes.Text)):
            if not any(isinstance(above, NOT_IN) for above in ancestors(text)):
                parts = linked(str(text), pages)
                if len(parts) > 1:
                    text.parent.replace(text, parts)


def ancestors(node: nodes.Node):
    while node.parent is not None:
        node = node.parent
        yield node


def linked(text: str, pages: dict[str, str]) -> list[nodes.Node]:
    """The text in pieces, those that name a page as links."""
    parts, end = [], 0
    for mention in MENTION.finditer(text):
        for number in re.finditer(NUMBER, mention[1]):
            if target := pages.get(number[0].lower()):
                start = mention.start(1) + number.start()
                parts += [nodes.Text(text[end:start]), link(number[0], target)]
                end = start + len(number[0])
    return [part for part in [*parts, nodes.Text(text[end:])] if part.astext()]


def link(words: str, target: str) -> addnodes.pending_xref:
    about = dict(refdomain="std", reftype="doc", reftarget=f"/{target}", refexplicit=True, refwarn=True)
    return addnodes.pending_xref("", nodes.inline("", words), **about)


def setup(app):
    app.add_transform(MentionsBecomeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
