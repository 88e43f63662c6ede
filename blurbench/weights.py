"""Opening checkpoints: never unpickling a stranger's object, and saying in one line what does not fit.

Formats: safetensors, and PyTorch pickles opened with `weights_only=True`. What else a pickle may hold is opened nowhere but in
`blurbench.convert`, and there only on request.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import WeightsError
from blurbench.fetch import cache_root
from blurbench.registry import METHODS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Weights:
    """What a run record says of the weights: the file names, one SHA-256 over their bytes in that order, and whence they came.

    origin: "shipped" with the method, "given" by the user, or "found" where the user keeps them.
    """

    files: tuple[str, ...]
    sha256: str
    origin: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def shipped(name: str) -> Path:
    """Path of a file in `baselines/weights/`. Raises WeightsError when this installation lacks it."""
    path = _shipped() / name
    if not path.is_file():
        raise WeightsError(f"this installation ships no {name}; give --weights FILE")
    return path


def shipped_file(method: str) -> Path | None:
    """The shipped weights of a method, named after it; None where there are none."""
    return path if (path := _shipped() / f"{method}.safetensors").is_file() else None


def _shipped() -> Path:
    return Path(str(resources.files("blurbench.baselines"))) / "weights"


def place(method: str) -> Path:
    """Where a user keeps the weights of a method, in the cache ($BLURBENCH_CACHE); `blurbench convert-weights` writes there."""
    return cache_root() / "weights" / f"{method}.safetensors"


def require_name(out: Path) -> None:
    """Raises WeightsError for what is not the name of a weights file, before the work on what it is to hold."""
    if out.suffix != ".safetensors" or out.is_dir():
        raise WeightsError(f"--out is {out}, expected the name of a file that ends in .safetensors")


def found(method: str) -> Path | None:
    """That file, where it is."""
    return path if (path := place(method)).is_file() else None


def absent(method: str, mend: str, given: str = "FILE") -> WeightsError:
    """The error of a method that was given no weights. mend: what to get from where; given: FILE or FOLDER, what it takes."""
    known = method in METHODS.names()  # a method of one file is converted under the name of that file, which its card does not tell
    once = f", or run once `blurbench convert-weights {method} {given}`, which writes {place(method)}" if known else ""
    return WeightsError(f"{method} was given no weights; {mend}, and give --weights {given}{once}")


def of_parts(given: Path, stems: Mapping[str, str], mend: str) -> dict[str, Path]:
    """The checkpoint file of each part of a network. given: a folder that has them by their stems, or one file, the part "", of the whole.

    Raises WeightsError for a folder that lacks some, with the mend.
    """
    if not given.is_dir():
        return {"": given}
    places = {part: (given / f"{stem}.pth", given / f"{stem}.safetensors") for part, stem in stems.items()}
    found = {part: next((path for path in pair if path.is_file()), None) for part, pair in places.items()}
    if missing := [stems[part] for part, path in found.items() if path is None]:
        raise WeightsError(f"weights folder {given} lacks {', '.join(missing)} (.pth or .safetensors); {mend}")
    return {part: path for part, path in found.items() if path is not None}


def card(path: Path) -> dict[str, Any]:
    """What a safetensors file says of itself: the card that blurbench writes, else whatever stands there. Raises WeightsError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"weights file {path} cannot be read ({type(error).__name__}: {error})") from error
    try:
        written = json.loads(metadata["card"])
    except (KeyError, ValueError):
        return dict(metadata)
    return written if isinstance(written, dict) else dict(metadata)


def learnt(path: Path) -> dict[str, str] | None:
    """The options of the training or conversion that wrote a file here; None for files of others. Raises WeightsError."""
    about = card(path) if path.suffix == ".safetensors" else {}
    return dict(about.get("options", {})) if "method" in about else None


def identity(path: Path) -> dict[str, Any]:
    """For the card of what is made from a file: its name, its SHA-256 and, where it has one, its own card. Raises WeightsError."""
    _require_file(path)
    with path.open("rb") as file:
        found: dict[str, Any] = {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    own = card(path) if path.suffix == ".safetensors" else {}
    return {**found, "card": own} if own else found


def describe(files: list[Path], origin: str = "given") -> Weights:
    """Hash weight files for the record. Raises WeightsError for one that is missing."""
    digest = hashlib.sha256()
    for file in files:
        _require_file(file)
        digest.update(file.read_bytes())
    return Weights(tuple(file.name for file in files), digest.hexdigest(), origin)


def inside(given: Path) -> list[Path]:
    """The files of a folder and of those below it, sorted; a file is itself."""
    return sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]


def read(path: Path, under: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a `.safetensors` file or a PyTorch checkpoint (`.pkl`, `.pth`, `.pt`), on the CPU.

    under: where a checkpoint holds more than weights, the key of their dictionary; a file without that key is taken as it is.
    Raises WeightsError when the file is missing, truncated, no checkpoint, or holds more than tensors.
    """
    _require_file(path)
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # of pickles that it may not understand; the error says what it did not
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen types for a damaged file
        raise WeightsError(f"weights file {path} cannot be read safely ({_reason(error)}){_way_out(error)}") from error
    if under and isinstance(state, dict):
        state = state.get(under, state)
    if not isinstance(state, dict):
        raise WeightsError(f"weights file {path} holds {type(state).__name__}, expected a plain dictionary of tensors")
    for key, value in state.items():
        if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
            told = f"holds {type(value).__name__} at key {key!r}, expected a plain dictionary of tensors"
            raise WeightsError(f"weights file {path} {told}{_unwrap(state)}")
    return state


def _unwrap(state: Mapping[Any, Any]) -> str:
    """The mend for a checkpoint that holds its weights under a key, beside the number of the epoch and the like."""
    import torch

    for key, value in state.items():
        if isinstance(value, dict) and value and all(isinstance(each, torch.Tensor) for each in value.values()):
            return f"; save that of {key!r} alone, or where `load` is your own, write `read(path, under={key!r})` there"
    return ""


def _require_file(path: Path) -> None:
    """Raises WeightsError unless there is such a file."""
    if path.is_dir():
        raise WeightsError(f"weights {path} are a folder, expected one file")
    if not path.is_file():
        raise WeightsError(f"weights file {path} does not exist")


_GLOBAL = re.compile(r"[Uu]nsupported (?:global: )?GLOBAL (\S+)")


def refused_global(error: Exception) -> str | None:
    """The name that a pickle asked for and torch refused; None for an error of another kind."""
    match = _GLOBAL.search(str(error))
    return match[1] if match else None


def _reason(error: Exception) -> str:
    """In one line. The head of torch's own text advises to open the file unsafely; what is wrong with it comes last."""
    kind = type(error).__name__
    if name := refused_global(error):
        return f"{kind}: Unsupported global {name}, so it holds more than tensors"
    told = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
    return f"{kind}: {told[:120] or 'no reason given'}"


def _way_out(error: Exception) -> str:
    if refused_global(error):
        return "; if you trust who made it, `blurbench convert-weights METHOD FILE --trust-pickle` takes the tensors out"
    return ", expected a whole .safetensors file or PyTorch checkpoint (.pth, .pt, .pkl); give the file as downloaded"


def packed(state: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> bytes:
    """Tensors and the card that says what they are, as the bytes of a safetensors file.

    To be written by `store.disk.replacing`: safetensors' own writer makes files that nobody else may read, and hides a full disk.
    """
    from safetensors.torch import save

    return save({key: value.detach().cpu().contiguous() for key, value in state.items()}, metadata={"card": json.dumps(card)})


def state_hash(module: torch.nn.Module) -> str:
    """SHA-256 over names and values of a network's tensors, whatever file they came in."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} ".encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def fit(module: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load `state` into `module`, strictly.

    Raises WeightsError naming the first key that is missing, extra, of another shape, or not finite, as a training gone astray leaves it.
    """
    own = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    network, extra = type(module).__name__, sorted(given.keys() - own.keys())
    if missing := sorted(own.keys() - given.keys()):
        besides = f"; it has {extra[0]!r}, which is unknown" if extra else ""
        told = f"key {missing[0]!r} is missing ({len(missing)} of {len(own)} are){besides}"
        raise WeightsError(f"{path} is not a checkpoint of {network}: {told}")
    if extra:
        raise WeightsError(f"{path} is not a checkpoint of {network}: unknown key {extra[0]!r} ({len(extra)} too many)")
    for key, shape in own.items():
        if given[key] != shape:
            raise WeightsError(f"{path} is not a checkpoint of {network}: {key!r} has shape {given[key]}, expected {shape}")
    if (broken := next((key for key, value in state.items() if not value.isfinite().all()), None)) is not None:
        raise WeightsError(f"{path} has NaN or infinite values in {broken!r}, expected finite ones; download or train it again")
    module.load_state_dict(dict(state))
