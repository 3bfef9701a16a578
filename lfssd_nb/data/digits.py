"""scikit-learn's 1,797 handwritten digits, 8x8, embedded in its package: no network needed."""

import numpy as np

LOOK_ALIKES = ("0/8", "1/7", "2/6", "3/5", "4/9")
PARENTS = (0, 1, 2, 3, 4, 3, 2, 1, 0, 4)  # of each digit in LOOK_ALIKES


def digits() -> dict:
    """Arrays for `images.from_bytes`: 1,397 training and 400 test images, pairs of look-alikes as
    super-classes."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[..., None]
    train, test = train_test_split(np.arange(len(images)), test_size=400, random_state=0, stratify=raw.target)
    return dict(
        train_images=images[train], train_label=raw.target[train],
        test_images=images[test], test_label=raw.target[test],
        classes=[str(k) for k in range(10)], parents=PARENTS, superclasses=LOOK_ALIKES,
        source="scikit-learn handwritten digits",
    )  # fmt: skip
