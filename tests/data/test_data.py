"""The data sets, their splits and their augmentation."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from lfssd_nb import data
from lfssd_nb.data.augment import Augmentation, augment
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import default_recipe

SPLITS = ("train", "test")


def labels(dataset, split):
    return getattr(dataset, f"{split}_y")


def images(dataset, split) -> np.ndarray:
    """The bytes of the images, ``[N, H, W, C]``."""
    return (dataset.images(getattr(dataset, f"{split}_x")) * 255).round().byte().numpy()


def as_set(pictures: np.ndarray) -> set[bytes]:
    return {picture.tobytes() for picture in pictures}


# ---- digits


@pytest.mark.parametrize(("split", "n"), [("train", 1397), ("test", 400)])
def test_digits_sizes_and_types(digits, split, n):
    x, y = getattr(digits, f"{split}_x"), labels(digits, split)
    assert (x.shape, x.dtype) == ((n, 1, 8, 8), torch.float32)
    assert (y.shape, y.dtype) == ((n,), torch.int64)


def test_digits_are_normalised_by_the_training_set(digits):
    assert digits.train_x.mean().abs() < 1e-5
    assert (digits.train_x.std() - 1).abs() < 1e-5


def test_digits_split_is_stratified(digits):
    share = torch.bincount(torch.from_numpy(load_digits().target)) * 400 / 1797
    assert (torch.bincount(digits.test_y) - share).abs().max() <= 1


def test_digits_split_uses_every_image_once_under_its_label(digits):
    raw = load_digits()
    pictures = np.concatenate([images(digits, s) for s in SPLITS]).reshape(-1, 64)
    found = np.column_stack([pictures, np.concatenate([labels(digits, s) for s in SPLITS])])
    wanted = np.column_stack([np.round(raw.data * 255 / 16), raw.target])
    assert sorted(map(tuple, found)) == sorted(map(tuple, wanted))


def test_images_undoes_the_normalisation(digits):
    pictures = digits.images(digits.train_x)
    assert pictures.shape == (1397, 8, 8, 1) and pictures.min() == 0 and pictures.max() == 1
    sixteenths = pictures * 16  # scikit-learn's grey values are 0 to 16
    assert (sixteenths - sixteenths.round()).abs().max() / 16 <= 1 / 255


def test_every_digit_is_in_its_look_alike_pair(digits):
    for name, parent in zip(digits.classes, digits.parents, strict=True):
        assert name in digits.superclasses[parent].split("/")


def test_coarsen_keeps_the_digit_as_sub_class(digits):
    coarse = digits.coarsen()
    assert coarse.classes == digits.superclasses and coarse.subclasses == digits.classes
    for split in SPLITS:
        assert torch.equal(getattr(coarse, f"{split}_sub"), labels(digits, split))
        pairs = [coarse.classes[k] for k in labels(coarse, split)]
        assert all(str(int(k)) in pair for k, pair in zip(labels(digits, split), pairs, strict=True))


def test_digits5_is_digits_coarsened(digits):
    loaded, coarse = data.load("digits5", device="cpu"), digits.coarsen()
    assert loaded.name == coarse.name == "digits5" and loaded.parents is None
    assert torch.equal(loaded.train_x, coarse.train_x) and torch.equal(loaded.train_y, coarse.train_y)


# ---- subset


@pytest.mark.parametrize("n", [35, 50, 51, 700, 1350, 1390, 1397])
def test_subset_has_the_size_asked_for(digits, n):
    small = digits.subset(n)
    assert len(small.train_x) == len(small.train_y) == n
    assert abs(len(small.test_y) - n * 400 / 1397) <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_subset_is_stratified(digits, split):
    small, full = (torch.bincount(labels(d, split), minlength=10) for d in (digits.subset(350), digits))
    assert (small - full * small.sum() / full.sum()).abs().max() <= 1


def test_subset_of_super_classes_is_stratified_by_sub_class(digits):
    small = torch.bincount(digits.coarsen().subset(350).train_sub, minlength=10)
    assert (small - torch.bincount(digits.train_y) * 350 / 1397).abs().max() <= 1


def test_subset_takes_images_of_d_as_they_are_with_their_labels(digits):
    at = {x.numpy().tobytes(): k for k, x in enumerate(digits.train_x)}
    small = digits.subset(140)
    chosen = [at[x.numpy().tobytes()] for x in small.train_x]
    assert len(set(chosen)) == 140
    assert torch.equal(small.train_y, digits.train_y[chosen])


def test_subset_repeats_with_its_seed_only(digits):
    first, again, other = (digits.subset(140, seed) for seed in (1, 1, 2))
    assert torch.equal(first.train_x, again.train_x) and torch.equal(first.test_x, again.test_x)
    assert not torch.equal(first.train_x, other.train_x)


def test_subset_says_so_in_the_source(digits):
    assert "140 of 1397" in digits.subset(140).source


# ---- prepared files


def test_cifar10_from_a_prepared_file(prepare, tmp_path):
    raw, loaded = prepare("cifar10"), data.load("cifar10", tmp_path, "cpu")
    assert loaded.classes == tuple(f"class {k}" for k in range(10))
    assert loaded.source == "random images of a test"
    assert loaded.train_x.shape == (200, 3, 32, 32)
    for split in SPLITS:
        assert np.array_equal(images(loaded, split), raw[f"{split}_images"])
        assert np.array_equal(labels(loaded, split), raw[f"{split}_label"])


def test_channels_are_normalised_one_by_one(prepare, tmp_path):
    tinted = (np.random.default_rng(1).random((200, 32, 32, 3)) * [250, 100, 50]).astype(np.uint8)
    prepare("cifar10", train_images=tinted)
    x = data.load("cifar10", tmp_path, "cpu").train_x
    assert x.mean((0, 2, 3)).abs().max() < 1e-4 and (x.std((0, 2, 3)) - 1).abs().max() < 1e-4


def test_a_file_that_does_not_name_its_source_is_said_to_be_of_unknown_origin(prepare, tmp_path):
    prepare("cifar10", source=None)
    assert "not recorded" in data.load("cifar10", tmp_path, "cpu").source


def test_cifar100_has_fine_labels_and_a_tree(prepare, tmp_path):
    raw, loaded = prepare("cifar100"), data.load("cifar100", tmp_path, "cpu")
    assert loaded.classes[7] == "fine 7" and loaded.superclasses[19] == "coarse 19"
    for split in SPLITS:
        assert np.array_equal(labels(loaded, split), raw[f"{split}_fine"])
        assert np.array_equal(np.array(loaded.parents)[labels(loaded, split)], raw[f"{split}_coarse"])


def test_cifar20_is_cifar100_with_the_files_coarse_labels(prepare, tmp_path):
    raw, loaded = prepare("cifar100"), data.load("cifar20", tmp_path, "cpu")
    assert loaded.name == "cifar20" and len(loaded.classes) == 20 and len(loaded.subclasses) == 100
    for split in SPLITS:
        assert np.array_equal(labels(loaded, split), raw[f"{split}_coarse"])
        assert np.array_equal(getattr(loaded, f"{split}_sub"), raw[f"{split}_fine"])


def test_the_environment_names_the_data_root(prepare, tmp_path, monkeypatch):
    prepare("cifar10")
    monkeypatch.setenv("LFSSD_DATA", str(tmp_path))
    assert len(data.load("cifar10", device="cpu").train_y) == 200


def test_a_given_root_goes_before_the_environment(prepare, tmp_path, monkeypatch):
    prepare("cifar10")
    monkeypatch.setenv("LFSSD_DATA", str(tmp_path / "elsewhere"))
    assert len(data.load("cifar10", tmp_path, "cpu").train_y) == 200


# ---- pins and olivetti


@pytest.fixture
def people(tmp_path):
    """Ten random pictures, of different sizes and colour modes, for each of three people."""
    rng = np.random.default_rng(0)
    for person in ("Ann", "Bo", "Cy"):
        folder = tmp_path / "pins" / person
        folder.mkdir(parents=True)
        for k in range(10):
            picture = Image.fromarray(rng.integers(0, 256, (20 + k, 30, 3), np.uint8))
            picture.convert("L" if k == 0 else "RGB").save(folder / f"{k}.png")
    return tmp_path


def test_pins_split_is_stratified(people):
    pins = data.load("pins", people, "cpu")
    assert pins.classes == ("Ann", "Bo", "Cy") and pins.train_x.shape[1:] == (3, 64, 64)
    assert [torch.bincount(labels(pins, s)).tolist() for s in SPLITS] == [[8] * 3, [2] * 3]


def test_pins_train_and_test_share_no_picture(people):
    pins = data.load("pins", people, "cpu")
    train, test = (as_set(images(pins, s)) for s in SPLITS)
    assert len(train) == 24 and len(test) == 6 and not train & test


def test_pins_split_repeats(people):
    first = data.load("pins", people, "cpu")
    (people / "pins.npz").unlink()
    again = data.load("pins", people, "cpu")
    assert torch.equal(first.train_x, again.train_x) and torch.equal(first.test_y, again.test_y)


def test_pins_once_prepared_needs_its_folder_no_more(people):
    first = data.load("pins", people, "cpu")
    (people / "pins").rename(people / "moved away")
    assert torch.equal(data.load("pins", people, "cpu").train_x, first.train_x)


@pytest.fixture
def olivetti(tmp_path, monkeypatch):
    faces = np.random.default_rng(0).random((400, 64, 64), np.float32)
    fake = Bunch(images=faces, target=np.arange(400) // 10)
    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", lambda data_home: fake)
    return data.load("olivetti", tmp_path, "cpu"), faces


def test_olivetti_split_is_stratified(olivetti):
    loaded, _ = olivetti
    assert len(loaded.classes) == 40 and loaded.train_x.shape[1] == 1
    assert [torch.bincount(labels(loaded, s)).tolist() for s in SPLITS] == [[8] * 40, [2] * 40]


def test_olivetti_faces_are_all_there_once_and_keep_their_owner(olivetti):
    loaded, faces = olivetti
    owner = {face.tobytes(): k // 10 for k, face in enumerate((faces * 255).round().astype(np.uint8))}
    pictures = np.concatenate([images(loaded, s) for s in SPLITS])
    found = [owner.pop(picture.tobytes()) for picture in pictures]
    assert not owner
    assert found == torch.cat([labels(loaded, s) for s in SPLITS]).tolist()


def test_olivetti_faces_are_neither_shifted_nor_mirrored(olivetti):
    recipe = default_recipe(olivetti[0], Architecture("resnet18", 16), epochs=2)
    assert recipe.augmentation == Augmentation() and recipe.epochs == 2
    with pytest.raises(ValueError, match="epochs >= 1"):
        default_recipe(olivetti[0], Architecture("resnet18", 16), epochs=0)


# ---- augmentation


def changed(x, seed=0, **how):
    return augment(x, Augmentation(**how), torch.Generator().manual_seed(seed))


def test_no_augmentation_is_the_identity(digits):
    assert torch.equal(changed(digits.train_x), digits.train_x)


def test_shifts_are_whole_pixel_translations_of_each_image(digits):
    x = digits.train_x[:300]
    rows = torch.nn.functional.pad(x, [2] * 4)
    moved = {(i, j): rows[:, :, i : i + 8, j : j + 8] for i in range(5) for j in range(5)}
    equal = {at: (changed(x, shift=2) == y).flatten(1).all(1) for at, y in moved.items()}
    assert torch.stack(list(equal.values())).any(0).all()
    assert all(hit.any() for hit in equal.values())  # each of the 25 shifts occurs


def test_flip_mirrors_about_half_and_leaves_the_others(digits):
    x = digits.train_x
    y = changed(x, flip=True)
    mirrored, same = ((y == z).flatten(1).all(1) for z in (x.flip(3), x))
    assert (mirrored | same).all()
    assert 0.45 < mirrored.double().mean() < 0.55


def test_rotation_turns_each_image_by_its_own_angle_within_the_range():
    x = torch.zeros(200, 1, 33, 33)
    x[:, :, 15:18, 27:30] = 1  # a dot to the right of the centre
    y = changed(x, rotation=20)
    at = torch.arange(33.0) - 16
    dx, dy = ((y * grid).sum((1, 2, 3)) / y.sum((1, 2, 3)) for grid in (at, at[:, None]))
    degrees = torch.atan2(dy, dx) * 180 / math.pi
    assert degrees.abs().max() < 21 and degrees.min() < -15 and degrees.max() > 15
    assert (torch.hypot(dx, dy) - 12).abs().max() < 0.3


def test_augmentation_repeats_with_its_seed_only(digits):
    how = dict(shift=1, flip=True, rotation=10)
    first, again, other = (changed(digits.train_x, seed, **how) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_augmentation_leaves_its_input_as_it_was(digits):
    x = digits.train_x.clone()
    changed(x, shift=1, flip=True, rotation=10)
    assert torch.equal(x, digits.train_x)
