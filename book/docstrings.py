"""Docstrings of the package as Sphinx wants them.

Arguments are described line by line there (``alpha: selects ...``), which reStructuredText would run together
into one paragraph: each becomes an entry of a list. Names in backticks are linked by their last part.
"""

import inspect
import re

LINKED = {"module", "function", "class", "method"}
ENTRY = re.compile(r"((?:\*{0,2}\w+, )*\*{0,2}\w+): (.*)")


def arguments(obj: object) -> set[str]:
    """The names that a function, a class or a method takes."""
    try:
        return set(inspect.signature(obj).parameters) | set(getattr(obj, "__dataclass_fields__", ()))
    except (TypeError, ValueError):
        return set()


def entries(app, what: str, name: str, obj: object, options, lines: list[str]) -> None:
    """In place: lines that describe arguments become definitions, "Raises" begins a paragraph."""
    known, new, inside = arguments(obj), [], False
    for line in lines:
        entry = ENTRY.match(line)
        if entry and set(re.findall(r"\w+", entry[1])) <= known:
            names = ", ".join(f"``{each}``" for each in entry[1].split(", "))
            new += ["", names, f"    {entry[2]}"]
            inside = True
        elif inside and line and not line.startswith(("Raises ", "Returns ")):
            new.append(f"    {line}")
        else:
            new += ["", line] if inside and line else [line]
            inside = False
    lines[:] = new


def by_its_last_part(app, env, node, contents):
    """A link for `module.name`, the shortest that the reference has, or for `name` if there is one only."""
    if node.get("refdomain") != "py" or not (target := node.get("reftarget")):
        return None
    python = env.get_domain("py")
    found = [name for name, entry in python.objects.items()
             if name.endswith(f".{target}") and entry.objtype in LINKED]  # fmt: skip
    if not found or (len(found) > 1 and "." not in target):
        return None
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", min(found, key=len), node, contents)


def true_backlinks(app) -> list:
    """viewcode links a module's code back to the part that came first; here to where all of it is described:
    what is described under its own module, too, would get links to anchors that are not there."""
    objects = app.env.get_domain("py").objects
    modules = getattr(app.env, "_viewcode_modules", {})
    for name, (code, tags, used, part) in [(n, entry) for n, entry in modules.items() if entry]:
        if not all(f"{part}.{what}" in objects for what in used):
            modules[name] = code, tags, used, name
    return []


def setup(app):
    app.connect("autodoc-process-docstring", entries)
    app.connect("missing-reference", by_its_last_part)
    app.connect("html-collect-pages", true_backlinks, priority=100)  # before viewcode's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
