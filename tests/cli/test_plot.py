"""`blurbench plot`: why a figure cannot be drawn."""

import numpy as np
import pytest

from blurbench.errors import BlurbenchError
from blurbench.report.plots_files import plot
from blurbench.run.record import Value
from tests.cli.runs import IDS, hard


@pytest.fixture
def runs(run, tmp_path):
    """The folder of two records of blurbench-1, `still` without the column that ranks."""
    values = {"psnr-pooled": Value(30.0), "psnr-centre": Value(30.0)}
    run(tmp_path, "clip", {"psnr-pooled": hard(), "psnr-centre": hard()}, values=values)
    still = {**values, "psnr-pooled": Value(None)}
    run(tmp_path, "still", {"psnr-centre": hard(1)}, values=still, empty={"psnr-pooled": "one frame only"})
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (
            "forest",
            {"reference": "still"},
            "reference still has no psnr-pooled (one frame only); give another --reference, or a --column that it has: psnr-centre",
        ),
        (
            "forest",
            {"reference": "clip"},
            "nothing can be compared with clip: no other method has a value in psnr-pooled, where pictures identical to the truth do not "
            "count; evaluate another method, or give another --column",
        ),
        (
            "ladder",
            {},
            "protocol blurbench-1 has no ladder of directions, expected runs of one that has: blurbench-motion; "
            "`blurbench evaluate --protocol blurbench-motion` makes them",
        ),
    ],
)
def test_the_reason_is_told(runs, kind, options, told):
    with pytest.raises(BlurbenchError) as caught:
        plot(kind, runs, runs / "plots", **options)
    assert str(caught.value) == told


def test_a_run_that_lacks_a_value_is_left_out_of_the_forest_and_named(run, tmp_path):
    scores = hard(2)
    scores[3] = np.nan
    for method, values in (("clip", hard()), ("other", hard() - 1), ("holed", scores)):
        run(tmp_path, method, {"psnr-pooled": values}, values={"psnr-pooled": Value(float(np.nanmean(values)))})
    told = []
    assert len(plot("forest", tmp_path, tmp_path / "plots", reference="clip", tell=told.append)) == 2
    reason = (
        f"no column can be compared: psnr-pooled: holed has no value for 1 sample ({IDS[3]}); compare what was scored on the same samples"
    )
    assert told == [f"left out of the figure: holed: {reason}"]


def test_runs_that_cannot_be_compared_say_why(runs):
    (runs / "still.parquet").unlink()
    with pytest.raises(
        BlurbenchError, match=r"^nothing can be compared with clip: still: .*still\.parquet, the scores of .* cannot be read"
    ) as caught:
        plot("forest", runs, runs / "plots", reference="clip", column="psnr-centre")
    assert str(caught.value).endswith("; keep the two files together")  # one mend
