"""Official checkpoints to one safetensors file a method, with a card inside that says where they came from.

What a method's `load` takes is converted, and nothing else: the method loads the files, and the tensors of its networks are written.
The one place in blurbench where a pickle may run code is `_unpickle` here, and only where the user asks for it.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blurbench
from blurbench import weights
from blurbench.errors import BrokenPluginError, WeightsError
from blurbench.methods import Method, MethodCard, loader, method_class
from blurbench.store.disk import replacing

if TYPE_CHECKING:
    import torch

NOT_TOLD = "not told"
_NO_PICKLES = (".safetensors", ".npz")
_CHECKPOINTS = (".pth", ".pt", ".pkl", ".ckpt", ".bin", ".tar", *_NO_PICKLES)

Load = Callable[[Path, str], Method]
"""A method's `load`, its options chosen: of weights and device."""


def convert(
    method: str,
    files: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    options: Mapping[str, str] | None = None,
    source: str = "",
    licence: str = "",
    training_data: str = "",
    trust_pickle: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Convert the weights of a method and return the path of the file written, which `load` reads back bit by bit.

    method: as for `load_method`. files: what its `load` takes, a file, a folder or the files that belong into one folder.
    out: default `weights.place`, where `load_method` looks. options: those of the method, as to `load_method`, under which the files load;
    the card names them. source, licence, training_data: of these files, for the card; by default those of the official weights, from the
    method's card. trust_pickle: open pickles that hold more than tensors, which may run any code; each is announced through `say`. Raises
    UnknownNameError, RecipeError (options), BrokenPluginError, WeightsError, DataSetError (the disk).
    """
    cls, chosen = method_class(method), dict(options or {})
    load = loader(cls, chosen)
    if inspect.getattr_static(cls, "load") is inspect.getattr_static(Method, "load"):
        raise WeightsError(f"{cls.card.id} has no weights, so that there is nothing to convert; it runs as it is")
    target = weights.place(cls.card.keeper) if out is None else Path(out)
    weights.require_name(target)
    paths = _gather([Path(file) for file in files])
    with tempfile.TemporaryDirectory() as name:
        staged = Path(name) / "staged"
        staged.mkdir()
        loaded = _load(load, [Path(file) for file in files], paths, staged, say if trust_pickle else None)
        read = loaded.weights.files if loaded.weights else ()
        used = [paths[file] for file in read if file in paths] or list(paths.values())
        card = _card(cls.card, used, chosen, {"source": source, "training_data": training_data, "licence": licence})
        _write(loaded, load, card, target, Path(name) / f"{cls.card.id}.safetensors")
    return target


def _gather(given: list[Path]) -> dict[str, Path]:
    """The files by name, those of folders included as far as they look like checkpoints. Raises WeightsError."""
    paths: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise WeightsError(f"weights {path} do not exist; give the file or folder as downloaded")
        inside = sorted(file for file in path.iterdir() if file.suffix in _CHECKPOINTS) if path.is_dir() else [path]
        for file in inside:
            if file.name in paths and not file.samefile(paths[file.name]):
                raise WeightsError(f"{paths[file.name]} and {file} have the same name; give one of them")
            paths[file.name] = file
    return paths


def _load(load: Load, given: list[Path], paths: dict[str, Path], staged: Path, trusted: Callable[[str], None] | None) -> Method:
    """The method, from what was given or, where that is several files or holds trusted pickles, from a folder of links."""
    if len(given) == 1 and trusted is None:
        return load(given[0], "cpu")
    if not paths:
        raise WeightsError(f"{', '.join(map(str, given))} hold no checkpoint, expected files that end in {', '.join(_CHECKPOINTS)}")
    for name, path in paths.items():
        if trusted and path.suffix not in _NO_PICKLES and (refusal := _refusal(path)):
            trusted(f"WARNING: --trust-pickle opens {path} ({refusal}); whatever code is in it runs now, with your rights")
            _unpickle(path, staged / name)
        else:
            (staged / name).symlink_to(path.resolve())
    single = len(given) == 1 and not given[0].is_dir()
    try:
        return load(staged / given[0].name if single else staged, "cpu")
    except WeightsError as error:
        raise WeightsError(_as_given(str(error), paths, staged)) from error


def _as_given(message: str, paths: dict[str, Path], staged: Path) -> str:
    """A message about the links, told of the files that the user knows."""
    for name in sorted(paths, key=len, reverse=True):
        message = message.replace(str(staged / name), str(paths[name]))
    folders = {path.parent for path in paths.values()}
    common = folders.pop() if len(folders) == 1 else os.path.commonpath([folder.absolute() for folder in folders])
    return message.replace(str(staged), str(common))


def _refusal(path: Path) -> str | None:
    """Why torch does not open a file as tensors only; None where it does."""
    import torch

    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen types
        name = weights.refused_global(error)
        return f"it asks for {name}" if name else f"{type(error).__name__} when opened safely"
    return None


def _unpickle(path: Path, out: Path) -> None:
    """Open a pickle with all that it asks for, i.e. run its code, and write its tensors alone to `out`. Raises WeightsError."""
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a stranger's object may raise anything
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"
        mend = "; put the code that it was written with on PYTHONPATH" if isinstance(error, ImportError | AttributeError) else ""
        raise WeightsError(f"weights file {path} cannot be read even with --trust-pickle ({reason}){mend}") from error
    torch.save(_tensors(held), out)


def _tensors(held: object) -> dict[str, Any] | torch.Tensor | None:
    """What of a checkpoint are tensors, in the dictionaries that they lie in; of a whole network, its state."""
    import torch

    if isinstance(held, torch.nn.Module):
        held = held.state_dict()
    if isinstance(held, torch.Tensor):
        return held.detach()
    if isinstance(held, Mapping):
        kept = {key: _tensors(value) for key, value in held.items() if isinstance(key, str)}
        return {key: value for key, value in kept.items() if value is not None and not (isinstance(value, dict) and not value)}
    return None


def _card(card: MethodCard, used: list[Path], options: dict[str, str], told: dict[str, str]) -> dict[str, Any]:
    """What the file says of itself: what the user tells, else what a file that was trained or converted here says, else what is known of
    the official ones. Where there are none, nothing is.
    """
    known = {"source": card.released, "training_data": card.training_data, "licence": card.licence}
    files = [weights.identity(path) for path in used]
    # Others write what they like there, as {"format": "pt"}.
    own = next((file["card"] for file in files if {"method", "dataset"} & file.get("card", {}).keys()), None)
    if own is not None:
        known = {"source": own.get("command", NOT_TOLD), "training_data": own.get("dataset", NOT_TOLD), "licence": NOT_TOLD}
        known |= {key: own[key] for key in known if key in own}
    elif not card.official:
        known = dict.fromkeys(known, NOT_TOLD)
    kept = {**own.get("options", {}), **options} if own else options
    about = {"method": card.id, "title": card.title, "paper": card.paper, "files": files, "options": kept}
    return {**about, **{key: told[key] or value for key, value in known.items()}, "blurbench": blurbench.__version__}


def _write(method: Method, load: Load, card: dict[str, Any], target: Path, link: Path) -> None:
    """Write the tensors of a method, atomically and only if they are read back as they are. link: a free name that ends in .safetensors."""
    state = method.state()
    with replacing(target) as part:
        part.write_bytes(weights.packed(state, card))
        link.symlink_to(part.resolve())
        again = load(link, "cpu").state()
        if changed := [key for key in {**state, **again} if not _same(state.get(key), again.get(key))]:
            raise BrokenPluginError(f"{card['method']} does not read back what it gave, first {changed[0]!r}: its load and state disagree")


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Bit by bit, NaN included."""
    if one is None or other is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    import torch

    return torch.equal(*(tensor.detach().cpu().contiguous().flatten().view(torch.uint8) for tensor in (one, other)))
