"""The layouts of released data sets, as data: where the files of a sample lie, and which recipe says what they are.

A pattern is a path below the folder that the user gives. `{split}` is train, val or test, `{group}` any folder, `{video}` the name of the
video, `{name}` the number of the blurry picture, `{target}` that of a target, `{image}` a suffix of an image; `{tail}` and `{trend}` are
endings that may be there. Other names are options of the layout.

Roles: `blurry` and `sharp`; `pair` for one picture of both side by side, blurry left; `frames` for the whole sharp video from which the
targets around each blurry picture are taken; `guidance`, `flow_half` and `bbox` beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from blurbench.errors import RecipeError, UnknownNameError

_TOKENS = {
    "split": r"(?P<split>train|val|test)",
    "group": r"[^/]+",
    "video": r"(?P<video>[^/]+?)",
    "name": r"(?P<name>\d+)",
    "target": r"(?P<target>\d+)",
    "image": r"(?:png|jpe?g|bmp|tiff?)",
    "tail": r"(?:_cropped)?(?:_32X)?(?:_mp4)?",
    "trend": r"(?:_trend)?",
}


@dataclass(frozen=True)
class Layout:
    """A layout. files: pattern by role. recipe: name of the recipe that makes such data; its lists, transfer function and windows hold.

    options: keys that a user may set, with their values; a role whose option is `none` is not read. keys: keys of the recipe that a user
    may set. transfer: whether it is known with which transfer function the pictures were averaged. step: by how much the numbers of
    neighbouring blurry pictures differ; 0: not known. published: samples a split of the whole release.
    """

    id: str
    about: str
    recipe: str
    files: dict[str, str]
    options: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ("transfer",)
    transfer: bool = True
    step: int = 0
    published: dict[str, int] = field(default_factory=dict)
    version: int = 1

    def patterns(self, options: dict[str, str]) -> dict[str, re.Pattern[str]]:
        """A regular expression by role, to match a path below the root as a whole."""
        wanted = {role: text for role, text in self.files.items() if options.get(role) != "none"}
        return {role: _compile(text, options) for role, text in wanted.items()}


def find(name: str) -> Layout:
    """A layout by name. Raises UnknownNameError, and RecipeError for the one release that holds no pairs."""
    if name == "gopro-all":
        raise RecipeError("GOPRO_Large_all holds footage, not pairs; `blurbench make-dataset gopro-linear --source DIR` reads it")
    if name not in LAYOUTS:
        raise UnknownNameError("layout", name, LAYOUTS)
    return LAYOUTS[name]


def _compile(text: str, options: dict[str, str]) -> re.Pattern[str]:
    parts, seen = [], set[str]()
    for literal, token in re.findall(r"([^{]*)(?:\{(\w+)\})?", text):
        parts.append(re.escape(literal))
        if token in options:
            parts.append(re.escape(options[token]))
        elif token:
            parts.append(f"(?P={token})" if token in seen else _TOKENS[token])
            seen.add(token)
    return re.compile("".join(parts), re.IGNORECASE if text.endswith("{image}") else 0)


_GOPRO = {"train": 2103, "test": 1111}
_REDS = {"train": 24000, "val": 3000}
_ZHONG = "{video}{tail}"

LAYOUTS = {
    layout.id: layout
    for layout in (
        Layout(
            "gopro-linear",
            "GOPRO_Large, input `blur`",
            recipe="gopro-linear",
            files={"blurry": "{split}/{video}/blur/{name}.{image}", "sharp": "{split}/{video}/sharp/{name}.{image}"},
            step=1,
            published=_GOPRO,
        ),
        Layout(
            "gopro-gamma",
            "GOPRO_Large, input `blur_gamma`",
            recipe="gopro-gamma",
            files={"blurry": "{split}/{video}/blur_gamma/{name}.{image}", "sharp": "{split}/{video}/sharp/{name}.{image}"},
            step=1,
            published=_GOPRO,
        ),
        Layout(
            "gopro-align",
            "the side-by-side pictures of zhang2021; say their --set transfer=pixel or gamma(2.2)",
            recipe="gopro-linear",
            files={"pair": "{split}/{video}_{name}.{image}"},
            transfer=False,
            step=1,
            published=_GOPRO,
        ),
        Layout(
            "baistpp",
            "B-AIST++ (zhong2022) without 40 exposures at either end; --set boxes.width=160 --set boxes.height=192 crops to persons",
            recipe="baistpp",
            files={
                "blurry": f"{_ZHONG}/blur/{{name}}.{{image}}",
                "sharp": f"{_ZHONG}/sharp/{{name}}_{{target}}.{{image}}",
                "bbox": f"{_ZHONG}/{{bbox}}/{{name}}.pkl",
                "guidance": f"{_ZHONG}/{{guidance}}/{{name}}{{trend}}.npy",
            },
            options={"bbox": "blur_anno", "guidance": "trend+_avg"},
            keys=("transfer", "window.skip_first", "window.skip_last", "boxes.width", "boxes.height", "boxes.ratio"),
        ),
        Layout(
            "genblur",
            "GenBlur (zhong2022)",
            recipe="genblur",
            files={
                "blurry": f"{{group}}/{_ZHONG}/blur/{{name}}.{{image}}",
                "sharp": f"{{group}}/{_ZHONG}/sharp/{{name}}_{{target}}.{{image}}",
                "guidance": f"{{group}}/{_ZHONG}/{{guidance}}/{{name}}{{trend}}.npy",
                "flow_half": f"{{group}}/{_ZHONG}/{{flow_half}}/{{name}}_flow.npy",
            },
            options={"guidance": "trend+", "flow_half": "flow"},
        ),
        Layout(
            "reds",
            "REDS, input `blur`, or --set input=blur_comp; needs --set response.file=crf.npy",
            recipe="reds",
            files={
                "blurry": "{split}/{split}_{input}/{video}/{name}.{image}",
                "sharp": "{split}/{split}_sharp/{video}/{name}.{image}",
            },
            options={"input": "blur"},
            keys=("transfer", "response.file"),
            step=1,
            published=_REDS,
        ),
        Layout(
            "adobe240-bin",
            "Adobe240 as shen2020 (BIN) wrote it",
            recipe="adobe240",
            files={"blurry": "{split}_blur/{video}/{name}.{image}", "frames": "{split}/{video}/{name}.{image}"},
            keys=("transfer", "window.targets"),
            step=8,
        ),
    )
}
