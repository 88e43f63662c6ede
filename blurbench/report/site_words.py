"""Protocols in words: what a column is, and what was decided before it was computed."""

from __future__ import annotations

from blurbench import metrics
from blurbench.metrics.protocol import Column, Protocol

ARROWS = {"higher": "↑", "lower": "↓"}
_DIRECTIONS = {
    "as-is": "as returned",
    "best": "better direction of the clip",
    "frame": "better direction of each frame",
    "patch": "better direction of each patch",
    "pixel": "better direction of each pixel",
    "channel": "better direction of each channel",
}
_QUANTISE = {
    "round": "Predictions are clamped to [0, 1] and rounded to 8 bits.",
    "truncate": "Predictions are clamped to [0, 1] and cut to 8 bits, which darkens them by half a level.",
    "float": "Predictions are clamped to [0, 1] and left as 32-bit floats.",
}
_DECISIONS = {
    "psnr": "by PSNR of the error pooled over all frames",
    "psnr-ends": "by the mean PSNR of the first and the last frame",
    "each": "for every column by its own value",
}


def unit(column: Column) -> str:
    """The unit to show; empty for a pure number."""
    return "" if column.unit in ("", "1") else column.unit


def direction(column: Column) -> str:
    """In which direction of time frames were compared, in words."""
    return _DIRECTIONS[column.direction]


def draws(column: Column, rules: Protocol) -> str:
    """Which draws of a stochastic method count; empty where a protocol has one."""
    kind, _, number = column.draws.partition(":")
    if rules.samples == 1:
        return ""
    words = {"first": "first draw", "mean": f"mean of {rules.samples} draws", "best": f"best of {number or rules.samples} draws"}
    return words.get(kind, f"what the best of {number} draws scores on average")


def frames(column: Column) -> str:
    """Which frames count, in words."""
    if isinstance(column.frames, tuple):
        return f"frames {', '.join(str(index + 1) for index in column.frames)}"
    return {"all": "all frames", "centre": "centre frame"}[column.frames]


def rule(column: Column, rules: Protocol) -> str:
    """What the head of a column says: frames, direction, draws, and how values become one."""
    parts = [frames(column), direction(column), draws(column, rules)]
    parts += ["error pooled over frames"] if column.reduction == "pooled" else []
    parts += [f"squares of {column.tile} pixels"] if column.tile else []
    parts += ["mean of videos"] if column.average == "videos" else []
    parts += ["against the blurry picture"] if column.against == "blurry" else []
    return ", ".join(filter(None, parts))


def metric(column: Column) -> str:
    """The title of a column's metric, with its options."""
    options = ", ".join(f"{key} = {value}" for key, value in column.options.items())
    return metrics.get(column.metric).info.title + (f" ({options})" if options else "")


def sentences(rules: Protocol) -> list[str]:
    """What a protocol decides, a sentence each, in the order in which it happens."""
    crop = f"Of every picture counts {_crop(rules.crop)}." if rules.crop else "The whole picture counts."
    said = [_QUANTISE[rules.quantise], crop]
    if rules.direction == "clip":
        said.append(f"A clip may be scored reversed; that is decided once a clip, {_DECISIONS[rules.decide_by]}, a tie being forward.")
    else:
        said.append("Frames are scored in the order in which the method returned them.")
    regions = {column.direction for column in rules.columns}
    if "patch" in regions:
        said.append(f"Patches are squares of {rules.patch} pixels.")
    many = rules.samples > 1
    said.append(f"A stochastic method draws {rules.samples} samples." if many else "A stochastic method draws one sample.")
    said.append(f"A PSNR above {rules.psnr_cap:g} dB, infinite for identical pictures, counts as {rules.psnr_cap:g} dB.")
    said.append("Means are over samples, with 95 % intervals over whole source videos.")
    return [*said, f"Boards are ranked by {rules.rank_by}; methods with equal values share a rank."]


def _crop(text: str) -> str:
    kind, _, what = text.partition(":")
    return (
        f"what is left without {what} rows and columns on each side"
        if kind == "border"
        else f"the {what} (height x width) from the top left"
    )
