"""The table and the picture of loss curves."""

import sys
from types import SimpleNamespace

import pytest

from blurbench.train import curves
from blurbench.train.curves import Curves, draw, read

pytest.importorskip("matplotlib")


def row(step, term, value):
    return ["only", str(step), "0.0", "0.001", term, str(value)]


@pytest.fixture
def plotted(monkeypatch):
    """What is drawn, by its label."""
    from matplotlib.axes import Axes

    lines, plot = {}, Axes.plot

    def noted(self, places, values, **style):
        lines[style["label"]] = (list(places), list(values))
        return plot(self, places, values, **style)

    monkeypatch.setattr(Axes, "plot", noted)
    return lines


def test_values_that_are_not_finite_are_left_out(tmp_path, plotted, recwarn):
    rows = [row(1, "total", 0.5), row(1, "validation", "nan"), row(2, "total", "inf"), row(2, "validation", "nan"), row(3, "total", 0.25)]
    draw(rows, tmp_path / "losses.png")
    assert plotted == {"total": ([1, 3], [0.5, 0.25])}
    draw(rows[1:2], tmp_path / "nothing.png")
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("losses.png", "nothing.png")) and not recwarn.list


def test_a_score_in_validation_has_a_panel_of_its_own(tmp_path, monkeypatch):
    """30 dB beside losses of 0.01 would be a straight line; no legend covers a point."""
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: figures.append(self))
    rows = [row(step, term, value) for step in (1, 2) for term, value in (("total", 0.5 / step), ("validation", 24.0 + step))]
    draw(rows, tmp_path / "losses.png", {"only": "blurbench-1 psnr-centre, dB"})
    losses, validation = figures[0].axes
    assert (losses.get_ylabel(), validation.get_ylabel()) == ("", "blurbench-1 psnr-centre, dB")
    assert (losses.get_yscale(), validation.get_yscale(), losses.get_title()) == ("log", "linear", "only")
    assert [[line.get_label(), *line.get_ydata()] for axes in (losses, validation) for line in axes.lines] == [
        ["total", 0.5, 0.25],
        ["validation", 25.0, 26.0],
    ]
    figures[0].draw_without_rendering()
    assert all(axes.get_legend().get_window_extent().x0 > axes.get_window_extent().x1 for axes in (losses, validation))
    draw([each for each in rows if each[4] == "total"], tmp_path / "losses.png")
    assert len(figures[1].axes) == 1


def test_small_losses_of_both_signs_can_be_read(tmp_path, monkeypatch):
    """The linear part ends at the least of the terms' medians: a value of 1e-9 by chance does not take up the picture."""
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: figures.append(self))
    terms = {"flow": [2e-4, 1e-9, 4e-4], "adversarial": [-3e-3, -3e-3, -4e-3], "centre": [0.1, 0.2, 0.0]}
    draw([row(step, term, value) for term, values in terms.items() for step, value in enumerate(values, 1)], tmp_path / "losses.png")
    axis = figures[0].axes[0].yaxis.get_transform()
    assert (figures[0].axes[0].get_yscale(), axis.linthresh) == ("symlog", 2e-4)


def test_tensorboard_forgets_what_was_behind_the_state(tmp_path, monkeypatch):
    """Steps are those of all stages there: it forgets by number, whatever the stage."""
    asked, added = [], []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            asked.append((folder, purge_step))

        def add_scalar(self, *values):
            added.append(values)

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=SummaryWriter))
    table = Curves(tmp_path, lambda stage, step, term: True, lambda text: None, done=35)
    table.add("second", 6, 36, 0.0, 1e-3, {"total": 0.5})
    table.close()
    assert asked == [(str(tmp_path / "tensorboard"), 36)] and added == [("second/total", 0.5, 36)]


def test_a_picture_that_cannot_be_drawn_is_a_note(tmp_path, monkeypatch):
    def broken(rows, path, validated):
        raise ValueError("no font")

    notes = []
    monkeypatch.setattr(curves, "draw", broken)
    table = Curves(tmp_path, lambda stage, step, term: True, notes.append)
    table.add("only", 1, 1, 0.0, 1e-3, {"total": 0.5})
    table.close()
    assert notes[-1] == f"{tmp_path}/losses.png was not drawn (ValueError: no font); the curves are in {tmp_path}/losses.csv"
    assert read(tmp_path / "losses.csv") == [row(1, "total", 0.5)]


def test_what_is_kept_of_an_earlier_run(tmp_path):
    for kept in (lambda stage, step, term: True, lambda stage, step, term: step == 1 and term != "validation"):
        table = Curves(tmp_path, kept, lambda text: None)
        table.add("only", 1, 1, 0.0, 1e-3, {"total": 0.5, "validation": 0.25})
        table.close()
    assert [(line[1], line[4]) for line in read(tmp_path / "losses.csv")] == [("1", "total"), ("1", "total"), ("1", "validation")]
