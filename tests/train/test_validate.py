"""Which samples validation scores."""

from blurbench.store.reader import open_dataset
from blurbench.train.validate import Held
from tests.store import twins


def test_held_out_samples_are_of_the_training_split(tmp_path):
    """Also where the test split has videos of the same names: test clips are never looked at."""
    data = open_dataset(twins.make(tmp_path, {"train": 3, "test": 3}))
    held = Held(data, frozenset({"000"}), before=1, after=0)
    assert [twins.level(sample) for sample in held.samples] == [10, 11, 12]
    assert [int(sample.extras["before"][0, 0, 0, 0]) for sample in held.samples] == [10, 10, 11]
