"""Surnames as rows of letters: which language is a name from?

A class is a language, its super-class the language family. The letters are tokens, 0 is padding.
The lists are those of the package faker (MIT license), which takes them from public sources such as
Wiktionary and the statistical offices. They grow between its versions: ``source`` says which one was read.

Normalisation: Unicode NFC, lower case, one kind of apostrophe, single spaces. Accents stay, as they tell
languages apart. A name is left out if it has more than `LENGTH` characters or any that is neither a letter
nor one of ``' -``, or if it occurs in more than one of the languages. A name of one language occurs once.
"""

import unicodedata
from collections import Counter
from importlib import import_module

import numpy as np

from .encode import split

LENGTH = 16  # a few Dutch names are longer
MOST = 700  # names a language at most, so that the largest class has twice the smallest one's
TEST_SHARE = 0.2
MARKS = "' -"
FAMILIES = ("Germanic", "Romance", "Slavic", "Uralic")

# Language: its family, and the lists (locale, attribute). Slovak in the male forms only, as "Novák" in the
# training set gives "Nováková" in the test set away; of Estonia the Estonian names without the Russian ones.
LISTS = {
    "German": ("Germanic", ("de_DE", "last_names"), ("de_AT", "last_names")),
    "Dutch": ("Germanic", ("nl_NL", "last_names")),
    "Swedish": ("Germanic", ("sv_SE", "last_names")),
    "French": ("Romance", ("fr_FR", "last_names"), ("fr_CA", "last_names")),
    "Italian": ("Romance", ("it_IT", "last_names")),
    "Spanish": ("Romance", ("es_ES", "last_names")),
    "Croatian": ("Slavic", ("hr_HR", "last_names")),
    "Polish": ("Slavic", ("pl_PL", "unisex_last_names")),
    "Slovak": ("Slavic", ("sk_SK", "last_names_male")),
    "Estonian": ("Uralic", ("et_EE", "last_names_est")),
    "Finnish": ("Uralic", ("fi_FI", "last_names")),
}


def names() -> dict:
    """The surnames of `LISTS` as arrays, split 80 : 20 within every language.

    ``train_x``, ``test_x``: int64 ``[N, LENGTH]``, letters from the left, then 0; ``train_y``, ``test_y``:
    int64 ``[N]``, index into ``classes``. ``parents[c]`` is the index into ``superclasses`` of class c.
    ``"".join(alphabet[t] for t in row)`` gives the name back (``alphabet[0]`` is empty).

    Raises ``ImportError`` without faker and ``ValueError`` if its version lacks one of the lists.
    """
    version, found = _lists()
    texts, labels = _select(found)
    alphabet = ("", *sorted(set("".join(texts))))
    token = {letter: k for k, letter in enumerate(alphabet)}
    x = np.array([[token[c] for c in text] + [0] * (LENGTH - len(text)) for text in texts])
    y = np.array(labels)
    train, test = split(y, TEST_SHARE, seed=0)
    return dict(
        train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test],
        classes=tuple(LISTS), superclasses=FAMILIES,
        parents=tuple(FAMILIES.index(family) for family, *_ in LISTS.values()),
        alphabet=alphabet, source=f"surnames of the package faker {version}",
    )  # fmt: skip


def normalise(name: str) -> str:
    """NFC, lower case, ``'`` for every apostrophe, single spaces."""
    text = unicodedata.normalize("NFC", name).lower()
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split())


def _lists() -> tuple[str, list[list[str]]]:
    """faker's version, and the names of every language as faker has them."""
    try:
        version = import_module("faker").VERSION
    except ImportError as error:
        raise ImportError("the surnames need the package faker: pip install faker") from error

    def read(locale: str, attribute: str) -> list[str]:
        try:
            return list(getattr(import_module(f"faker.providers.person.{locale}").Provider, attribute))
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"faker {version} has no list {locale}.{attribute}; take a newer one: pip install -U faker"
            ) from error

    return version, [[name for part in parts for name in read(*part)] for _, *parts in LISTS.values()]


def _select(lists: list[list[str]]) -> tuple[list[str], list[int]]:
    """The usable names in alphabetical order language by language, and their labels.

    Of more than `MOST` names every k-th stays, so that all initials keep their share.
    """
    found = [{text for text in map(normalise, part) if _usable(text)} for part in lists]
    languages = Counter(text for part in found for text in part)
    texts, labels = [], []
    for label, part in enumerate(found):
        own = sorted(text for text in part if languages[text] == 1)
        n = min(len(own), MOST)
        texts += [own[k * len(own) // n] for k in range(n)]
        labels += [label] * n
    return texts, labels


def _usable(text: str) -> bool:
    return 0 < len(text) <= LENGTH and all(c.isalpha() or c in MARKS for c in text)
