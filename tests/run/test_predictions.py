"""Predictions on disk: what their digest is made of, and what damage to them is told as."""

from hashlib import sha256

import h5py
import numpy as np
import pytest

from blurbench.errors import PredictionError
from blurbench.run.predictions import Header, Predictions, Writer
from blurbench.types import Prediction, Sample
from blurbench.video.images import write_rgb

FILES = {"b/0/1.png": b"one", "b/0/0.png": b"", "a.h5": b"three"}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_digest_is_of_names_and_bytes_in_order(tmp_path, workers):
    for name, content in {**FILES, ".hidden": b"not read"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    expected = b"".join(f"{name} {len(content)} ".encode() + sha256(content).digest() for name, content in sorted(FILES.items()))
    assert Predictions(tmp_path).digest(workers) == sha256(expected).hexdigest()


def changed(edit):
    """Edits the HDF5 file."""

    def harm(path):
        with h5py.File(path, "r+") as file:
            edit(file)

    return harm


def scrambled(path):
    """Damages what the first chunk of the frames holds."""
    with h5py.File(path) as file:
        chunk = file["0/frames"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)


def without_frames(file):
    del file["0/frames"]


def group_for_frames(file):
    del file["0/frames"]
    file.create_group("0/frames")


def one_draw(file):
    frames = file["0/frames"][:1]
    del file["0/frames"]
    file["0/frames"] = frames


def test_a_newer_format_is_told_whatever_else_is_in_it(tmp_path):
    (tmp_path / "predictions.json").write_text('{"format": 99, "method": "m", "invented": 1}')
    with pytest.raises(
        PredictionError, match=r"predictions\.json has format 99, this blurbench reads up to \d; install a newer blurbench$"
    ):
        Predictions(tmp_path)


def test_hidden_folders_are_no_draws(tmp_path):
    """As a file browser leaves them."""
    picture = np.full((4, 5, 3), 7, np.uint8)
    (tmp_path / "v" / "0" / ".thumbnails").mkdir(parents=True)
    write_rgb(tmp_path / "v" / "0" / "0.png", picture)
    sample = Sample("v/0", "v", picture, picture[None], np.array([0.5]), "pixel")
    assert np.array_equal(Predictions(tmp_path).get(sample).frames, picture[None, None])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (scrambled, "the prediction of sample v/0 in .* cannot be read: .*; make it again"),
        (changed(without_frames), "the prediction of sample v/0 in .* cannot be read: .*frames"),
        (changed(group_for_frames), "the prediction of sample v/0 in .* cannot be read"),
        (changed(lambda file: file["0"].attrs.pop("seconds")), "the prediction of sample v/0 in .* cannot be read: .*seconds"),
        (changed(lambda file: file["0"].attrs.update(seconds="long")), "the prediction of sample v/0 in .* cannot be read: .*long"),
        (changed(one_draw), r"has 1 draw of sample v/0, its predictions\.json says 2"),
        (lambda path: path.write_bytes(b"no HDF5"), "v.h5 cannot be read: "),
    ],
)
def test_damage_is_told_in_one_line(tmp_path, harm, says):
    picture = np.zeros((16, 16, 3), np.uint8)
    sample = Sample("v/0", "v", picture, picture[None], np.array([0.5]), "pixel")
    frames = np.random.default_rng(0).random((2, 1, 16, 16, 3), np.float32)
    header = Header("mine", "t", "d", "test", "f" * 64, "c" * 64, draws=2)
    with Writer(tmp_path / "p", header).video("v") as put:
        put(Prediction("v/0", frames, 0.5, "cpu"))
    stored = Predictions(tmp_path / "p")
    assert np.array_equal(stored.get(sample).frames, frames)
    harm(tmp_path / "p" / "v.h5")
    with pytest.raises(PredictionError, match=says) as caught:
        stored.get(sample)
    assert "\n" not in str(caught.value)
