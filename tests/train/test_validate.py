"""Which samples validation scores, and what it is called."""

from blurbench.store.reader import open_dataset
from blurbench.train.recipe import Schedule
from blurbench.train.validate import Held, validated_by
from tests.store import twins


def test_held_out_samples_are_of_the_training_split(tmp_path):
    """Also where the test split has videos of the same names: test clips are never looked at."""
    data = open_dataset(twins.make(tmp_path, {"train": 3, "test": 3}))
    held = Held(data, frozenset({"000"}), before=1, after=0)
    assert [twins.level(sample) for sample in held.samples] == [10, 11, 12]
    assert [int(sample.extras["before"][0, 0, 0, 0]) for sample in held.samples] == [10, 10, 11]


def test_what_a_stage_is_validated_by_has_its_unit():
    named = {score: Schedule("s", 1, 1, 8, 1e-3, protocol="blurbench-1", score=score) for score in ("psnr-centre", "ssim-centre")}
    assert validated_by(named["psnr-centre"]) == "blurbench-1 psnr-centre, dB"
    assert validated_by(named["ssim-centre"]) == "blurbench-1 ssim-centre"
    assert validated_by(Schedule("s", 1, 1, 8, 1e-3)) == "loss"
