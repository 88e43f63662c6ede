"""Miniature trees of the released layouts, 48x64 pictures whose values say what they are."""

import pickle
from pathlib import Path

import cv2
import numpy as np

from blurbench.synth.guidance import vectors

HEIGHT, WIDTH = 48, 64


def picture(*seed, height=HEIGHT, width=WIDTH):
    """(H, W, 3) uint8, another one for every seed."""
    rng = np.random.default_rng([*map(int, seed)])
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def write(path: Path, image):
    """Write RGB, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


def gopro(root: Path, videos=(("train", "GOPR0001_07_00"), ("test", "GOPR0002_11_00")), numbers=range(3, 6)):
    """GOPRO_Large."""
    for split, video in videos:
        for number in numbers:
            for kind, folder in enumerate(("blur", "blur_gamma", "sharp")):
                write(root / split / video / folder / f"{number:06d}.png", picture(len(video), ord(split[1]), number, kind))
    return root


def gopro_all(root: Path, videos=(("train", "GOPR0001_07_00"), ("test", "GOPR0002_11_00")), frames=22):
    """GOPRO_Large_all."""
    for split, video in videos:
        for number in range(1, frames + 1):
            write(root / split / video / f"{number:06d}.png", picture(number))
    return root


def aligned(root: Path, video="GOPR0372_07_00", numbers=(47, 48)):
    """The side-by-side folder of zhang2021."""
    for number in numbers:
        write(root / "train" / f"{video}_{number:06d}.png", np.hstack([picture(number, 0), picture(number, 1)]))
    return root


def baistpp(root: Path, video="gWA_sBM_c01_d26_mWA0_ch99_cropped_32X", count=84, without=(), guidance="trend+_avg", numpy_box=True):
    """B-AIST++; pictures are drawn anew for the numbers that the skip rule keeps, others are copies of one."""
    folder = root / video
    for number in range(count):
        seed = number if 40 <= number < count - 40 else 0
        write(folder / "blur" / f"{number:08d}.png", picture(seed, 9, height=24, width=32))
        for target in range(7):
            write(folder / "sharp" / f"{number:08d}_{target:03d}.png", picture(seed, target, height=24, width=32))
        if number not in without:
            annotation(folder / "blur_anno" / f"{number:08d}.pkl", number, numpy_box)
        field = vectors(np.random.default_rng(number).integers(0, 5, (12, 16)))
        (folder / guidance).mkdir(exist_ok=True)
        np.save(folder / guidance / f"{number:08d}_trend.npy", field)
    return root


def annotation(path: Path, number: int, numpy_box: bool, left=2.5):
    path.parent.mkdir(exist_ok=True)
    box = [left, 3.0, left + 17.5 + number / 100, 22.0, 0.99]
    path.write_bytes(pickle.dumps({"bbox": np.array(box) if numpy_box else box, "id": number}))


def genblur(root: Path, group="adobe", video="IMG_0015_32X_mp4", count=2):
    """GenBlur."""
    folder = root / group / video
    for number in range(count):
        write(folder / "blur" / f"{number:08d}.png", picture(number, 8))
        for target in range(7):
            write(folder / "sharp" / f"{number:08d}_{target:03d}.png", picture(number, target))
        rng = np.random.default_rng(number)
        for name, array in (
            ("trend+/{:08d}_trend.npy", vectors(rng.integers(0, 5, (HEIGHT // 2, WIDTH // 2)))),
            ("flow/{:08d}_flow.npy", rng.normal(size=(HEIGHT // 2, WIDTH // 2, 12)).astype(np.float32)),
        ):
            path = folder / name.format(number)
            path.parent.mkdir(exist_ok=True)
            np.save(path, array)
    return root


def reds(root: Path, split="val", clips=("000", "001"), count=3):
    """REDS, with the compressed inputs beside."""
    for clip in clips:
        for number in range(count):
            for kind, name in enumerate(("sharp", "blur", "blur_comp")):
                write(root / split / f"{split}_{name}" / clip / f"{number:08d}.png", picture(int(clip), number, kind))
    return root


def adobe(root: Path, split="test", video="CLIP_1", frames=48):
    """Adobe240 as BIN wrote it: frames counted from 1, blurs centred on 17, 25, 33, ..."""
    images = [picture(number, 3) for number in range(frames)]
    for number, image in enumerate(images, 1):
        write(root / split / video / f"{number:05d}.png", image)
    for window in range(frames // 8 - 2):
        centre = 16 + 8 * window
        blur = np.mean([image.astype(np.float32) for image in images[centre - 5 : centre + 6]], axis=0)
        write(root / f"{split}_blur" / video / f"{centre + 1:05d}.png", blur.astype(np.uint8))
    (root / f"{split}_list").mkdir(exist_ok=True)
    (root / f"{split}_list" / f"{video}_im_list.txt").write_text("".join(f"{n:05d}.png\n" for n in range(1, frames + 1)))
    return root
