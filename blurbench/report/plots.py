"""The figures: one function each, from numbers to a figure with direct labels, units and the direction of better on its axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogFormatterSciNotation, MaxNLocator

from blurbench.errors import counted
from blurbench.metrics.protocol import Column
from blurbench.metrics.statistics import Interval
from blurbench.report import site_words
from blurbench.report.plots_data import Difference, Line, Point, Scatter
from blurbench.report.plots_style import FAINT, SIZE, Files, canvas, files, ink, label_ends, label_points, look, name_axes, plain
from blurbench.report.typeset import digits

STEPS = {"as-is": "as returned", "best": "a clip", "frame": "a frame", "patch": "a patch", "pixel": "a pixel", "channel": "a channel"}
"""The steps of the ladder of directions: one choice for …"""
_LABELLED = 14


def tradeoff(points: Sequence[Point], column: Column, cost: str, title: str, lines: Sequence[tuple[str, float]] = ()) -> Files:
    """Quality against a cost, with the Pareto front.

    cost: words for the axis, with unit. lines: labels and values of trivial methods, drawn across where they are near the others.
    """
    figure, axes = canvas()
    axes.set_xscale("log")
    # Within less than a decade there may be no power of ten to label.
    axes.xaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(1.5, 0.5)))
    front = [point for point in points if point.front]
    across, marks = _stairs(axes, front), []
    for point in points:
        colour = look(0)[0] if point.front else FAINT
        if point.low is not None and point.high is not None:
            axes.plot([point.cost] * 2, [point.low, point.high], color=colour, linewidth=1, alpha=0.5)
        marks += axes.plot(point.cost, point.mean, "o" if point.front else "s", color=colour, markersize=6)
    if len(points) == 1 or len({p.cost for p in points}) == 1:
        axes.set_xlim(points[0].cost / 10, points[0].cost * 10)
    else:
        axes.margins(x=0.18)
    shown = _near(axes.get_ylim(), lines)
    for text, value in shown:
        across.append(axes.axhline(value, color=FAINT, linewidth=0.8, linestyle="--"))
        note = axes.annotate(
            plain(text), (0, value), (2, 3), xycoords=axes.get_yaxis_transform(), textcoords="offset points", fontsize=8, color=FAINT
        )
        across.append(note)
    sign = 1 if column.better == "higher" else -1
    chosen = [*front, *sorted((p for p in points if not p.front), key=lambda p: -sign * p.mean)][:_LABELLED]
    across += [mark for mark, point in zip(marks, points, strict=True) if point not in chosen]  # the others are kept clear anyway
    label_points(axes, [(p.cost, p.mean, p.label, look(0)[0] if p.front else "#404040") for p in chosen], across)
    name_axes(axes, f"{cost}, log scale; less is better (left)", quality(column), title)
    _notes(axes, points, lines, shown, len(chosen))
    best = ", ".join(f"{p.label} {p.mean:.4g} at {p.cost:.3g}" for p in front)
    return files(figure, f"{column.name} against {cost} of {counted(len(points), 'method')}. On the Pareto front, cheapest first: {best}.")


def _stairs(axes: Axes, front: Sequence[Point]) -> list[Artist]:
    """Draws the Pareto front; each tread and riser is a line of its own, which a label can stand clear of."""
    steps = [([a.cost, b.cost], [a.mean, a.mean]) for a, b in pairwise(front)] + [
        ([b.cost] * 2, [a.mean, b.mean]) for a, b in pairwise(front)
    ]
    return [line for xs, ys in steps for line in axes.plot(xs, ys, color=FAINT, linewidth=1)]


def ladder(lines: Sequence[Line], columns: Sequence[Column], title: str) -> Files:
    """What a freer choice of direction gains: a line a method over the steps of the ladder."""
    figure, axes = canvas(height=4.8)
    apart = columns[-1].direction == "frame"
    _draw(axes, [Line(line.label, line.values[:-1]) for line in lines] if apart else lines)
    for i, line in enumerate(lines if apart else ()):
        axes.plot(*_end(line), look(i)[1], color=look(i)[0], markersize=5)
    axes.xaxis.set_major_locator(FixedLocator(range(len(columns))))
    axes.set_xticklabels([f"{STEPS[column.direction]}\n{plain(column.name)}" for column in columns], fontsize=8)
    label_ends(axes, _ends(lines))
    name_axes(
        axes,
        "direction of time chosen once for …" + (" (a frame: apart, it may show one twice)" if apart else ""),
        quality(columns[0], "PSNR"),
        title,
    )
    first, last = columns[0].name, columns[-1].name
    gains = ", ".join(f"{line.label} {line.values[-1][1].mean - line.values[0][1].mean:+.4g}" for line in lines)
    return files(figure, f"Scores from {first} to {last} of {counted(len(lines), 'method')}. Gained from first to last: {gains}.")


def blur_size(lines: Sequence[Line], column: Column, title: str) -> Files:
    """Quality against the blur of a sample, a line a method, with 95 % intervals."""
    figure, axes = canvas(height=4.8)
    _draw(axes, lines, intervals=True)
    cut = _focus(axes, lines)
    label_ends(axes, _ends(lines))
    name_axes(axes, f"blur: median displacement in a sample over the exposure, pixels{cut}", quality(column), title)
    return files(figure, f"{column.name} against blur size of {counted(len(lines), 'method')}. {_falls(lines)}")


def best_of(lines: Sequence[Line], column: Column, title: str) -> Files:
    """What the best of k draws scores on average, a line a method, with 95 % intervals."""
    figure, axes = canvas()
    _draw(axes, lines, intervals=True)
    cut = _focus(axes, lines)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_ends(axes, _ends(lines))
    name_axes(
        axes,
        f"N: draws of which the best counts, expected over all choices of N{cut}",
        quality(column, f"{column.name} of the best of N"),
        title,
    )
    return files(figure, f"{column.name} of the best of several draws, of {counted(len(lines), 'method')}. {_falls(lines)}")


def residual(found: Sequence[Scatter], title: str) -> Files:
    """What each method adds to the blurry picture, over how blurred that is, a mark a sample; the correlation stands beside the name."""
    figure, axes = canvas(height=4.8)
    for i, one in enumerate(found):
        colour, mark, _ = look(i)
        told = f"{plain(one.label)}, r = {one.correlation.mean:.2f}{_between(one.correlation)}"
        axes.plot(*zip(*one.points, strict=True), mark, color=colour, markersize=4, alpha=0.6, linestyle="none", label=told)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2)
    name_axes(axes, "blur: mean displacement in a sample over the exposure, pixels", "residual: mean |frame - blurry|, levels", title)
    values = ", ".join(f"{one.label} {one.correlation.mean:.2f}" for one in found)
    return files(figure, f"Residual against blur of {counted(len(found), 'method')}, a mark a sample. Correlations: {values}.")


def _between(interval: Interval) -> str:
    return "" if interval.low is None or interval.high is None else f" ({interval.low:.2f} to {interval.high:.2f})"


def forest(found: Sequence[Difference], reference: str, column: Column, title: str) -> Files:
    """Mean gains over a reference, sample by sample, with 95 % intervals over videos: positive is better, whichever way the column goes."""
    figure, axes = canvas(height=1.6 + 0.3 * len(found))
    for place, one in enumerate(reversed(found)):
        colour = {"better": look(2)[0], "worse": look(1)[0]}.get(one.verdict, FAINT)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2)
        axes.plot(one.mean, place, {"better": "^", "worse": "v"}.get(one.verdict, "o"), color=colour, markersize=7)
        text = f"{one.mean:+.{digits(column)}f}  {one.verdict}"
        axes.annotate(
            text, (1.01, place), xycoords=axes.get_yaxis_transform(), fontsize=8, va="center", color=ink(colour), annotation_clip=False
        )
    axes.axvline(0, color="#000000", linewidth=0.8)
    axes.set_yticks(range(len(found)), [plain(one.label) for one in reversed(found)], fontsize=SIZE)
    axes.set_ylim(-0.7, len(found) - 0.3)
    unit = site_words.unit(column)
    name_axes(axes, f"gain in {column.name} over {reference}{f', {unit}' if unit else ''}; better to the right", "", title)
    told = ", ".join(f"{one.label} {one.mean:+.4g} ({one.verdict})" for one in found)
    return files(figure, f"Gain in {column.name} over {reference}, sample by sample, positive is better: {told}.")


def quality(column: Column, name: str = "") -> str:
    """Words for an axis of scores: name, unit, which way is better."""
    unit = site_words.unit(column)
    return (
        f"{name or column.name}{f', {unit}' if unit else ''}; {column.better} is better ({'up' if column.better == 'higher' else 'down'})"
    )


def _draw(axes: Axes, lines: Sequence[Line], intervals: bool = False) -> None:
    """Lines with marks; their intervals stand a little beside each other, so that they can be told apart."""
    for i, line in enumerate(lines):
        colour, mark, dashes = look(i)
        x = _beside(lines, i) if intervals else [place for place, _ in line.values]
        axes.plot(x, [value.mean for _, value in line.values], dashes, marker=mark, color=colour, markersize=5, linewidth=1.5)
        for place, value in zip(x, [value for _, value in line.values], strict=True):
            if intervals and value.low is not None and value.high is not None:
                axes.plot([place] * 2, [value.low, value.high], color=colour, alpha=0.45, linewidth=1)


def _beside(lines: Sequence[Line], index: int) -> list[float]:
    """Where the intervals of a line stand."""
    shift = (index - (len(lines) - 1) / 2) * _step(lines)
    return [place + shift for place, _ in lines[index].values]


def _step(lines: Sequence[Line]) -> float:
    """How far the intervals of neighbouring lines are apart; nothing where there are too many."""
    places = [place for line in lines for place, _ in line.values]
    return (max(places) - min(places)) * 0.008 if len(lines) < 10 else 0.0


def _ends(lines: Sequence[Line]) -> list[tuple[float, float, str, str]]:
    """Where lines end, beyond the marks, with labels in an ink dark enough to read."""
    beyond = _step(lines) * (len(lines) - 1) / 2
    return [(_end(line)[0] + beyond, _end(line)[1], line.label, ink(look(i)[0])) for i, line in enumerate(lines)]


def _focus(axes: Axes, lines: Sequence[Line]) -> str:
    """Intervals of few videos are wide: the means fill at least a third of the height, and an arrow head stands where one goes further.

    Returns words for an axis that say so, where there is one.
    """
    means = [value.mean for line in lines for _, value in line.values]
    span = max(means) - min(means) or 1.0
    low, high = axes.get_ylim()
    low, high = max(low, min(means) - span), min(high, max(means) + span)
    axes.set_ylim(low, high)
    cut = False
    for i, line in enumerate(lines):
        for x, (_, value) in zip(_beside(lines, i), line.values, strict=True):
            for end, limit, mark in ((value.low, low, "v"), (value.high, high, "^")):
                if end is not None and (end < low if mark == "v" else end > high):
                    axes.plot(x, limit, mark, color=look(i)[0], markersize=5, clip_on=False, zorder=3)
                    cut = True
    return "; ▲ ▼ interval goes on" if cut else ""


def _end(line: Line) -> tuple[float, float]:
    place, value = line.values[-1]
    return place, value.mean


def _near(limits: tuple[float, float], lines: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Those that stretch the axis by no more than half."""
    low, high = limits
    room = (high - low) / 2
    return [(text, value) for text, value in lines if low - room <= value <= high + room]


def _notes(axes: Axes, points: Sequence[Point], lines: Sequence[tuple[str, float]], shown: Sequence[object], labelled: int) -> None:
    """What is not in the picture, below it."""
    notes = [f"{text} {value:.4g}" for text, value in lines if (text, value) not in shown]
    told = [f"outside: {', '.join(notes)}"] if notes else []
    told += [f"{len(points) - labelled} more methods without a label"] if len(points) > labelled else []
    if told:
        axes.annotate(
            plain("; ".join(told)),
            (1, 1),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            ha="right",
            color=FAINT,
        )


def _falls(lines: Sequence[Line]) -> str:
    return "From first to last: " + ", ".join(f"{line.label} {_end_of(line, 0):.4g} to {_end_of(line, -1):.4g}" for line in lines) + "."


def _end_of(line: Line, index: int) -> float:
    return line.values[index][1].mean
