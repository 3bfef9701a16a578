r"""Formulas as MathML, made when the book is built: no script, no network, text that a screen reader speaks.

Browsers draw MathML Core by themselves since 2023. What they need is a font that knows how mathematics
is set, and few systems have one, so the book brings STIX Two Math along (SIL Open Font License).
"""

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

CONVERTER = LatexToMathML(annotation=True)  # the TeX source stays inside, to be copied
LOGGER = logging.getLogger(__name__)


def mathml(node: nodes.Element, displaystyle: bool) -> str:
    """The formula of a node; one that cannot be read is a warning, and shown as it was written."""
    try:
        return CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle)
    except LatexError as error:
        LOGGER.warning("formula %r: %s", node.astext(), error, location=node, type="math")
        return f"<code>{nodes.unescape(node.astext())}</code>"


def inline(writer, node: nodes.math) -> None:
    writer.body.append(mathml(node, displaystyle=False))
    raise nodes.SkipNode


def block(writer, node: nodes.math_block) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    writer.body.append(mathml(node, displaystyle=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
