"""Pickles of arrays, read without running a program: a pickle may name any function, here only those of which
numpy arrays are made. For files that others wrote: of packages, and those that lie in the data root."""

import io
import pickle
import zlib
from pathlib import Path

import numpy as np

MOST = 2**30  # bytes that a file may unpack to
ALLOWED = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype, "_codecs.encode": str.encode}
ALLOWED["numpy.core.multiarray._reconstruct"] = np.empty(0).__reduce__()[0]


class ArraysOnly(pickle.Unpickler):
    """Refuses every name in a pickle but the four of which numpy arrays are made."""

    names = ALLOWED

    def find_class(self, module: str, name: str):
        full = f"{module}.{name}".replace("numpy._core", "numpy.core")  # since and before numpy 2
        if full not in self.names:
            raise pickle.UnpicklingError(f"refused {module}.{name}, which is not part of a numpy array")
        return self.names[full]


def read_pickle(path: Path):
    """Numbers, texts, lists, dictionaries and arrays, from a pickle of Python 2 or 3. Raises ``ValueError``
    if it is damaged or names anything else."""
    try:
        return ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can fail in any of a dozen ways
        raise ValueError(f"{path} is no pickle of arrays and texts ({error}); delete it") from error


class _Found(Exception):
    """What joblib writes in the place of an array: its type and shape. The bytes follow."""


class _Wrapper:
    def __setstate__(self, about: dict):
        raise _Found(about)


class _Joblib(ArraysOnly):
    names = ALLOWED | {"joblib.numpy_pickle.NumpyArrayWrapper": _Wrapper}


def read_joblib(path: Path) -> np.ndarray:
    """The array that ``joblib.dump(array, path, compress=...)`` wrote with zlib, or without compression.

    Raises ``ValueError`` if it is damaged, or asks for more than one array of numbers.
    """
    raw = path.read_bytes()
    try:
        raw = zlib.decompressobj().decompress(raw, MOST) if raw[:1] == b"\x78" else raw
        file = io.BytesIO(raw)
        try:
            raise ValueError(f"it holds {type(_Joblib(file).load()).__name__}")
        except _Found as found:
            about = found.args[0]
        dtype, shape = np.dtype(about["dtype"]), tuple(map(int, about["shape"]))
        if dtype.hasobject or about["subclass"] is not np.ndarray:
            raise ValueError(f"an array of {dtype}, not of numbers")
        if about.get("numpy_array_alignment_bytes") is not None:
            file.read(file.read(1)[0])  # padding, and before it its length
        found = np.frombuffer(file.read(), dtype, int(np.prod(shape, dtype=object)))
        return found.reshape(shape, order=about["order"])
    except Exception as error:  # a damaged pickle can fail in any of a dozen ways
        raise ValueError(
            f"{path} is not one array of numbers ({error}): delete it, and it is downloaded again"
        ) from error
