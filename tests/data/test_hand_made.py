"""Data that somebody made by hand: used as they are meant, or refused by name, with what is wanted."""

import json
import os
import re
import zlib
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch
from PIL import Image

from lfssd_nb import data
from lfssd_nb.data import Dataset, arrays_only, downloads, npz, scenarios

SOME = np.random.default_rng(0)
BYTES = SOME.integers(0, 256, (200, 32, 32, 3), np.uint8)
WANTED = r"wanted uint8 \[N, height, width, 1 or 3\], bytes 0 to 255 with the channels last"
HOLED = np.where(BYTES > 250, np.nan, BYTES / 255)


def names(**lists) -> str:
    return json.dumps(lists)


TEN = [f"class {k}" for k in range(10)]
HUNDRED, TWENTY = [f"fine {k}" for k in range(100)], [f"coarse {k}" for k in range(20)]
OF_ONE_SET = [
    ({"train_images": BYTES.transpose(0, 3, 1, 2)}, rf"uint8\[200, 3, 32, 32\], {WANTED}: images.transpose"),
    ({"train_images": BYTES[..., 0]}, rf"train_images is uint8\[200, 32, 32\], {WANTED}"),
    ({"train_images": BYTES.repeat(2, 3)}, rf"uint8\[200, 32, 32, 6\], {WANTED}"),
    ({"train_images": BYTES / 255}, rf"train_images is float64\[200, 32, 32, 3\] from 0.0 to 1.0, {WANTED}"),
    ({"train_images": BYTES.astype(float)}, rf"from 0.0 to 255.0, {WANTED}"),
    ({"train_images": HOLED}, rf"from 0.0 to 0.98.* with {np.isnan(HOLED).sum()} NaN, {WANTED}"),
    ({"train_images": BYTES.astype(int) - 9}, rf"int64.* from -9 to 246, {WANTED}"),
    ({"train_images": BYTES.astype("S3")}, rf"train_images is \|?S3\[200, 32, 32, 3\], {WANTED}"),
    ({"train_images": BYTES > 9}, rf"train_images is bool\[200, 32, 32, 3\], {WANTED}"),
    ({"train_images": BYTES[:0], "train_label": np.arange(0)}, rf"uint8\[0, 32, 32, 3\], {WANTED}"),
    (
        {"test_images": BYTES[:0], "test_label": np.arange(0)},
        rf"test_images is uint8\[0, 32, 32, 3\], {WANTED}",
    ),
    ({"test_images": BYTES[:100, :28, :28]}, r"train_images are \(32, 32, 3\) and test_images \(28, 28, 3\)"),
    ({"test_images": BYTES[:100, ..., :1]}, r"test_images \(32, 32, 1\): one size"),
    ({"train_label": np.arange(199) % 10}, "199 labels in train_label for 200 images, wanted one each"),
    ({"train_label": np.arange(200) % 10 - 1}, "train_label holds labels -1 to 8 for 10 .*wanted 0 to 9"),
    ({"train_label": np.arange(200) % 11}, "train_label holds labels 0 to 10 for 10 .*wanted 0 to 9"),
    ({"test_label": np.full(100, 99)}, "test_label holds labels 99 to 99 for 10"),
    ({"train_label": np.arange(200) % 10 / 1}, r"train_label is float64\[200\], wanted whole numbers \[N\]"),
    ({"train_label": np.eye(10)[np.arange(200) % 10]}, r"train_label is float64\[200, 10\], wanted whole"),
    ({"train_label": np.array(["a", "b"] * 100)}, "train_label is <U1.*wanted whole numbers"),
    ({"names": names(label=[*TEN[:9], TEN[0]])}, "names has 'class 0' twice for label"),
    ({"names": names(label=list(range(10)))}, "wanted a JSON object with a list of class names for label"),
    ({"names": names(label=[])}, "names is .*wanted a JSON object"),
    ({"names": names(fine=TEN)}, "names is .*wanted a JSON object"),
    ({"names": "cats, dogs"}, "names is 'cats, dogs' .*wanted a JSON object"),
    ({"names": np.arange(10)}, r"names is .*wanted a JSON object"),
    ({"test_images": None}, "test_images is missing, it holds train_images, train_label, test_label, names"),
    ({"names": None}, "names is missing, it holds"),
]
OF_A_TREE = [
    ({"train_coarse": np.arange(200) % 20}, "fine class 'fine .*' is in the super-classes coarse .*, coarse"),
    ({"train_coarse": np.arange(200) % 20 - 1}, "train_coarse holds labels -1 to 18 for 20 class names"),
    ({"test_coarse": np.full(100, 20)}, "test_coarse holds labels 20 to 20 for 20 class names"),
    ({"test_coarse": None}, "test_coarse is missing"),
    (
        {
            f"{k}_{w}": np.zeros(n, int)
            for k, n in (("train", 200), ("test", 100))
            for w in ("fine", "coarse")
        },
        "fine class 'fine 1' is in the super-classes none, as it has no image",
    ),
    ({"names": names(fine=HUNDRED)}, "wanted a JSON object .* for fine and coarse"),
    (
        {"names": names(fine=HUNDRED, coarse=[*TWENTY[1:], TWENTY[1]])},
        "names has 'coarse 1' twice for coarse",
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [("cifar10", *case) for case in OF_ONE_SET] + [("cifar100", *case) for case in OF_A_TREE],
)
def test_a_file_of_another_layout(prepare, tmp_path, name, changes, said):
    prepare(name, **changes)
    path = tmp_path / f"{name}.npz"
    remedy = "Correct it, or delete it, and it is downloaded or prepared again"
    with pytest.raises(
        ValueError, match=f"(?s){re.escape(str(path))} does not hold {name} .*{said}.*{remedy}"
    ):
        data.load(name, tmp_path, "cpu")


def test_a_file_that_cannot_be_read_is_not_called_damaged(prepare, tmp_path):
    (tmp_path / "cifar10.npz").mkdir()
    with pytest.raises(OSError, match=r"cifar10\.npz cannot be read \(Is a directory\): check") as caught:
        data.load("cifar10", tmp_path, "cpu")
    assert "delete" not in str(caught.value)
    if os.geteuid():  # who is root reads everything
        prepare("cifar100")
        (tmp_path / "cifar100.npz").chmod(0)
        with pytest.raises(PermissionError, match=r"cannot be read .*permissions"):
            npz.read(tmp_path / "cifar100.npz", "cifar100")


# ---- faces and pictures


def faces(path, array):
    path.parent.mkdir(exist_ok=True)
    joblib.dump(array, path, compress=6)


@pytest.mark.parametrize("turned", [False, True])
def test_faces_that_scikit_learn_left_there(tmp_path, turned):
    raw = np.arange(400, dtype=np.uint8).repeat(4096).reshape(400, 4096) // 2
    raw[:, 64] = 255  # the second pixel of the first row: scikit-learn's faces lie on their side
    faces(tmp_path / "sklearn" / "olivetti_py3.pkz", np.asfortranarray(raw.T) if turned else raw)
    loaded = data.load("olivetti", tmp_path, "cpu")
    pictures = (255 * loaded.images(torch.cat([loaded.train_x, loaded.test_x]))).round()
    assert pictures.shape == (400, 64, 64, 1) and (pictures[:, 0, 1] == 255).all()
    assert sorted(pictures[:, 5, 5, 0].tolist()) == sorted(raw[:, 0].tolist())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((400, 4095)),
        np.zeros(3, np.uint8),
        np.full((400, 4096), np.nan),
        np.array("faces"),
        np.zeros((400, 4096)),
    ],
)
def test_other_arrays_are_no_faces(tmp_path, array):
    path = tmp_path / "sklearn" / "olivetti_py3.pkz"
    faces(path, array)
    with pytest.raises(
        ValueError, match=f"{re.escape(str(path))} holds .*, not the 400 faces of 64 x 64: delete"
    ):
        data.load("olivetti", tmp_path, "cpu")


@pytest.mark.parametrize(
    "array", [np.arange(12.0).reshape(3, 4), np.zeros((0, 2)), np.arange(5, dtype=">i2")]
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compress", [0, 3])
def test_arrays_by_joblib(tmp_path, array, order, compress):
    joblib.dump(np.asarray(array, order=order), tmp_path / "a", compress=compress)
    found = arrays_only.read_joblib(tmp_path / "a")
    assert np.array_equal(found, array) and found.dtype == array.dtype


def picture(path, size=(20, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(SOME.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:400])


def bomb(path):
    """A few bytes that claim to be 40,000 x 40,000 pixels."""
    raw = bytearray(path.read_bytes())
    raw[16:24] = (40_000).to_bytes(4, "big") * 2
    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    path.write_bytes(raw)


def large(path):
    """Above Pillow's first limit, where it only warns."""
    Image.new("1", (9600, 9600)).save(path)


PICTURES = [
    ("Bo/1.jpg", cut, "1.jpg cannot be read as an image .*remove or replace it"),
    ("Bo/1.png", bomb, "1.png is too large an image .*make it smaller"),
    ("Bo/1.png", large, "1.png is too large an image .*make it smaller"),
    ("Bo/1.png", lambda path: path.write_text("no picture"), "1.png cannot be read as an image .*remove"),
    ("Bo/1.png", lambda path: path.write_bytes(b""), "1.png cannot be read as an image .*remove"),
    ("Bo/1.png", lambda path: path.unlink(), "Bo holds one image, and one to train on .*: add some, or take"),
    ("Cy/1.png", lambda path: path.unlink(), "holds no images by class .*Cy.*without empty ones"),
]


@pytest.mark.parametrize(("name", "spoil", "said"), PICTURES)
@pytest.mark.parametrize("wing", ["pins", "folder"])
def test_pictures_that_are_none(tmp_path, name, spoil, said, wing):
    folder = tmp_path / "pins"
    for each in ("Ann/1.png", "Ann/2.png", "Bo/2.png", name):
        picture(folder / each)
    spoil(folder / name)
    with pytest.raises(ValueError, match=f"{re.escape(str(folder))}.*{said}"):
        data.load("pins", tmp_path, "cpu") if wing == "pins" else Dataset.from_folder(folder, size=8)
    assert not (tmp_path / "pins.npz").exists()


def test_what_is_no_picture_by_its_name_is_left_out(tmp_path):
    for person in ("Ann", "Bo"):
        for k in range(2):
            picture(tmp_path / person / f"{k}.png")
        (tmp_path / person / "notes.txt").write_text("no picture")
    assert len(Dataset.from_folder(tmp_path, size=8, test=0.5).train_y) == 2
    with pytest.raises(
        ValueError, match=r"every class needs two, and the share test=0\.2 must hold one of each"
    ):
        Dataset.from_folder(tmp_path, size=8)


# ---- tensors, arrays, lists


X, Y = torch.rand(6, 4), torch.tensor([0, 1, 0, 1, 0, 1])
HOLE = torch.where(X.median() < X, X, torch.nan)
BY_HAND = [
    (dict(train_x=X.numpy()), "train_x must be a tensor, got ndarray: Dataset.from_tensors takes arrays"),
    (
        dict(test_x=X.tolist()),
        "test_x must be a tensor, got list: Dataset.from_tensors takes arrays and lists",
    ),
    (dict(train_y=Y.numpy()), "train_y must be a tensor, got ndarray: Dataset.from_tensors takes arrays"),
    (dict(test_y=Y.tolist()), "test_y must be a tensor, got list"),
    (dict(train_x=HOLE), "train_x has 12 NaN or infinite numbers: drop or fill them"),
    (dict(test_x=X / 0), "test_x has .* NaN or infinite numbers"),
    (dict(train_x=torch.zeros(6, 3, 8, 8, dtype=torch.uint8)), r"train_x holds bytes .*divide by 255"),
    (dict(train_x=X > 0.5), "train_x is torch.bool: give real numbers"),
    (dict(train_x=X.to(torch.complex64)), "train_x is torch.complex64: give real numbers"),
    (dict(train_y=Y - 1), r"train_y holds -1 to 0, but there are 2 classes \(0 to 1\)"),
    (dict(train_y=Y * 9), "train_y holds 0 to 9, but there are 2 classes"),
    (dict(train_y=Y.float()), "train_y must be int64"),
    (dict(train_y=Y[:5]), "train_y has 5 entries for 6 samples"),
    (
        dict(test_x=torch.rand(6, 5)),
        r"training samples are .*\[4\], test samples .*\[5\]: both must be alike",
    ),
    (dict(classes=("a", "a")), "classes names 'a' twice"),
]


@pytest.mark.parametrize(("changes", "said"), BY_HAND)
def test_a_data_set_from_other_things_than_tensors(changes, said):
    good = Dataset.from_tensors(X, Y, X, Y)
    with pytest.raises(ValueError, match=said):
        replace(good, **changes)


def test_arrays_and_lists_through_from_tensors():
    mine = [
        Dataset.from_tensors(x, y, x, y)
        for x, y in ((X, Y), (X.numpy(), Y.numpy()), (X.tolist(), Y.tolist()))
    ]
    assert all(torch.equal(each.train_x, X) and torch.equal(each.test_y, Y) for each in mine)
    with pytest.raises(ValueError, match="train_x has 12 NaN or infinite numbers: drop or fill them"):
        Dataset.from_tensors(HOLE.numpy(), Y, X, Y)


# ---- positions


POSITIONS = [
    ([0.0, 1.7], r"must be a list of positions, got torch.float64 \(0.0, ...\): positions are whole numbers"),
    (torch.ones(100, dtype=torch.bool), r"got a mask of 100: a mask becomes one with mask.nonzero\(\)"),
    (np.ones(99, bool), r"got a mask of 99: a mask becomes one with"),
    ([True, False], "got a mask of 2"),
    (7, r"must be a list of positions, got .*\[\]: one position alone is \[7\]"),
    ([[1, 2]], r"got torch.int64\[1, 2\]"),
    ([[1], [2, 3]], "must be a list of whole numbers, not"),
    (["3"], "must be a list of whole numbers, not"),
    ([None, 3], "must be a list of whole numbers, not"),
    ({3, 4}, "must be a list of whole numbers, not"),
    ([1 + 2j], "positions are whole numbers"),
    ([-1], r"is not inside .*: positions -1 to -1"),
    ([2**40], r"is not inside .*: positions 1099511627776 to"),
    ([5, 5, 6], r"names a sample twice; pass every position once \(5\)"),
]


@pytest.mark.parametrize(("index", "said"), POSITIONS)
@pytest.mark.parametrize("which", ["forget", "test_forget"])
def test_what_is_no_list_of_positions(few, index, said, which):
    given = dict(forget=[0]) | {which: index}
    named = {"forget": "the forget set", "test_forget": "the test_forget"}[which]
    with pytest.raises(ValueError, match=f"(?s){named} .*{said}"):
        scenarios.from_index(few, **given)


def test_positions_of_any_whole_kind(few):
    for index in ([7], (7,), range(7, 8), np.array([7], np.uint16), torch.tensor([7], dtype=torch.int32)):
        assert scenarios.from_index(few, index, [3]).forget.tolist() == [7]
    n = len(few.test_y)
    with pytest.raises(ValueError, match=f"test_forget is not inside the test set: positions {n} to {n}"):
        scenarios.from_index(few, [7], [n])


def test_a_download_that_gives_other_data_is_looked_at_too(tmp_path, monkeypatch):
    """What was just prepared is read back through the same check."""
    monkeypatch.setitem(downloads._PREPARE, "pins", lambda root: {"train_images": BYTES})
    with pytest.raises(ValueError, match=r"pins\.npz does not hold pins as it should: names is missing"):
        data.load("pins", tmp_path, "cpu")
