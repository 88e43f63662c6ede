"""How figures look: colours and marks that colour-blind readers tell apart, labels that stand where they belong, files that repeat."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

matplotlib.rcParams["svg.hashsalt"] = "blurbench"  # else ids in an SVG are drawn at random

SIZE = 9.0
"""Size of the text in points; nothing is smaller than 8."""
# Okabe and Ito, "Color Universal Design", 2008, without yellow, which is too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", "--", "-.", ":")
FAINT = "#6b6b6b"
DPI = 150
_AROUND = ((8, 0, "left"), (-8, 0, "right"), (8, 11, "left"), (8, -11, "left"), (-8, 11, "right"), (-8, -11, "right"), (0, 13, "center"))
_FARTHER = tuple((x, y, side) for step in (2, 3, 4) for x, y, side in ((8, 11 * step, "left"), (8, -11 * step, "left")))


@dataclass(frozen=True)
class Files:
    """A figure as the bytes of its files, its size in CSS pixels, and what it shows, in words for those who do not see it."""

    png: bytes
    svg: bytes
    width: int
    height: int
    alt: str


def canvas(width: float = 7.2, height: float = 4.4) -> tuple[Figure, Axes]:
    """An empty figure, in inches, with axes on the left and below."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=SIZE)
    axes.grid(color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    """Label the axes and the figure. Signs of currency and the like are no mathematics here."""
    axes.set_xlabel(plain(x, 100), fontsize=SIZE)
    axes.set_ylabel(plain(y), fontsize=SIZE)
    axes.set_title(plain(title, 80), fontsize=SIZE + 1, loc="left")


def plain(text: str, most: int = 60) -> str:
    """Text that matplotlib shows as it is: one line, no mathematics, no more letters than `most`."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return (line if len(line) <= most else f"{line[: most - 1]}…").replace("$", r"\$")


def look(index: int) -> tuple[str, str, str]:
    """Colour, mark and dashes of the index-th of several things; the three together repeat late."""
    return COLOURS[index % len(COLOURS)], MARKS[index % len(MARKS)], DASHES[(index // len(COLOURS)) % len(DASHES)]


def ink(colour: str) -> str:
    """The colour as text: darker, for letters are thinner than marks."""
    return "#" + "".join(f"{round(int(colour[i : i + 2], 16) * 0.62):02x}" for i in (1, 3, 5))


def label_points(axes: Axes, points: Sequence[tuple[float, float, str, str]], avoid: Sequence[Artist] = ()) -> None:
    """Write (x, y, text, colour) beside each point, where it covers no point, no other label and nothing to `avoid`.

    A thin line leads from far ones.
    """
    renderer = _renderer(axes)
    marks = [_around(*axes.transData.transform((x, y))) for x, y, _, _ in points]
    taken = [*marks, *(artist.get_window_extent(renderer).padded(1) for artist in avoid)]
    inside = axes.get_window_extent(renderer)
    for (x, y, text, colour), own in zip(points, marks, strict=True):
        others = [box for box in taken if box is not own]
        best = None
        for right, up, side in _AROUND + _FARTHER:
            note = axes.annotate(
                plain(text), (x, y), (right, up), textcoords="offset points", fontsize=8, color=colour, ha=side, va="center"
            )
            box = note.get_window_extent(renderer)
            covered = sum(_overlap(box, other) for other in others) + 3 * _outside(box, inside)
            if best is None or covered < best[0]:
                if best:
                    best[1].remove()
                best = covered, note, box, abs(up) > 11
            else:
                note.remove()
            if not covered:
                break
        assert best is not None
        taken.append(best[2])
        if best[3]:
            note = best[1]
            axes.annotate(
                "", (x, y), note.xyann, textcoords="offset points", arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5}
            )


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write (x, y, text, colour) to the right of where lines end, moved apart until no two touch."""
    dpi = _renderer(axes).dpi
    height = 8 * 1.35 * dpi / 72
    places = axes.transData.transform([(x, y) for x, y, _, _ in ends])
    order = sorted(range(len(ends)), key=lambda i: float(places[i][1]))
    heights = spread([float(places[i][1]) for i in order], height)
    for i, level in zip(order, heights, strict=True):
        x, y, text, colour = ends[i]
        shift = (level - float(places[i][1])) * 72 / dpi
        # From the edge of the text: lines that begin in its middle cross other labels.
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 0} if abs(shift) > 2 else None
        axes.annotate(
            plain(text),
            (x, y),
            (12, shift),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            va="center",
            arrowprops=line,
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as need be until neighbours are `gap` apart; groups that touch keep their middle."""
    groups: list[list[float]] = []  # middle, count
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (middle, count), (before, many) = groups.pop(), groups.pop()
            groups.append([(middle * count + before * many) / (count + many), count + many])
    return [middle + gap * (i - (count - 1) / 2) for middle, count in groups for i in range(int(count))]


def files(figure: Figure, alt: str) -> Files:
    """The figure as PNG and SVG; the same figure gives the same bytes."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    width, height = figure.get_size_inches()
    return Files(png.getvalue(), svg.getvalue(), round(width * 96), round(height * 96), alt)


def _renderer(axes: Axes) -> RendererAgg:
    """What measures text, after everything so far has found its place."""
    figure = axes.get_figure(root=True)
    assert figure is not None and isinstance(figure.canvas, FigureCanvasAgg)
    figure.draw_without_rendering()
    renderer: RendererAgg = figure.canvas.get_renderer()  # type: ignore[no-untyped-call]
    return renderer


def _around(x: float, y: float) -> Bbox:
    return Bbox.from_extents(x - 7, y - 7, x + 7, y + 7)


def _overlap(a: Bbox, b: Bbox) -> float:
    common = Bbox.intersection(a, b)
    return 0.0 if common is None else float(common.width * common.height)


def _outside(box: Bbox, frame: Bbox) -> float:
    inside = Bbox.intersection(box, frame)
    return float(box.width * box.height - (0 if inside is None else inside.width * inside.height))
