"""A method on the samples of a data set: what is predicted, what is stored, what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from blurbench import methods, running
from blurbench.errors import PredictionError, warn
from blurbench.methods import Method
from blurbench.registry import METHODS
from blurbench.remarks import remarks
from blurbench.run.measure import Meter
from blurbench.run.predictions import Header, Predictions, Store, Writer, writing
from blurbench.run.record import command_line, pairs
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.types import Prediction, Sample


def predict_dataset(
    method: str,
    dataset: str | Path,
    out: Path | str,
    *,
    weights: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    split: str = "test",
    samples: int = 1,
    store: Store = "float32",
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = warn,
) -> Path:
    """Write the predictions of a method on a split to the folder `out`, to be scored anywhere; returns it.

    options: of the method, see `methods.load_method`.
    samples, seed: of a stochastic method. store: float32 as they are, or rounded to uint8, a quarter of the size. A stopped run
    goes on with the video where it was, unless the method's code has changed. Raises BlurbenchError.
    """
    data = open_dataset(dataset)
    runner = methods.load_method(method, weights, device, options)
    for remark in remarks(runner):
        note(remark)
    methods.require_samples(runner, samples)
    given = {"method": method, "dataset": dataset, "weights": weights, "option": pairs(options)}
    command = command_line("predict", **given, split=split, samples=samples, store=store, device=device, seed=seed)
    header = describe(runner, data, split, samples, seed, command)
    with writing(Path(out), replace(header, store=store)) as writer:
        meter = Meter(runner, writer.header.cost)
        total = data.count(split)
        if there := sum(entry.samples for entry in data.entries(split) if writer.has(entry.video)):
            note(f"{there} of {total} samples are in {out} already")
        for done, _ in enumerate(predict_all(runner, data, header, meter, writer, frozenset(), allow_failures=False), 1):
            progress(done, total)
    return Path(out)


def describe(runner: Method, data: MadeDataSet, split: str, draws: int, seed: int, command: str) -> Header:
    """What predictions of this method on these data say of themselves. A deterministic method has seed 0, whatever is asked for.

    Raises UnknownNameError for a split that the data lack.
    """
    data.entries(split)
    return Header(
        method=runner.label,
        title=runner.card.title,
        dataset=data.manifest.label,
        split=split,
        fingerprint=data.manifest.fingerprint(split),
        content=data.manifest.content(split),
        weights=runner.weights.as_dict() if runner.weights else None,
        draws=draws,
        seed=seed if runner.capabilities.stochastic else 0,
        device=runner.device,
        command=command,
        code=_code(runner),
    )


def _code(runner: Method) -> str:
    """Digest of the method's code, and of the methods that it holds (a deblurring method chosen by an option)."""
    inner = [value for value in vars(runner).values() if isinstance(value, Method)]
    return "+".join(METHODS.code(type(each)) for each in [runner, *inner])


def predict_all(
    runner: Method, data: MadeDataSet, header: Header, meter: Meter, writer: Writer | None, skip: frozenset[str], allow_failures: bool
) -> Iterator[tuple[Sample, Prediction | PredictionError]]:
    """Every sample of the split but those to skip, with its prediction, or why there is none.

    With a writer nothing is skipped that is not stored yet, and what is stored is not predicted again. Raises PredictionError for the
    first failure, or what the method's own code raised, unless failures are allowed; with a writer always, since a file with holes is no
    use to anybody.
    """
    can = runner.capabilities
    stored = Predictions(writer.folder) if writer else None

    def predicted(sample: Sample) -> Prediction:
        return meter.predict(sample, header.draws, header.seed)

    for shard in data.shards(header.split):
        if writer is None:
            yield from _tried(runner, predicted, shard.samples(can.before, can.after, skip), allow_failures)
        elif stored and writer.has(shard.video):
            yield from _tried(runner, stored.get, shard.samples(can.before, can.after, skip), allow_failures)
        else:
            with writer.video(shard.video) as put:
                for sample in shard.samples(can.before, can.after):
                    put(made := predicted(sample))
                    yield sample, made
            writer.enter_cost(meter.facts())
        shard.close()


def _tried(
    runner: Method, get: Callable[[Sample], Prediction], samples: Iterable[Sample], allow_failures: bool
) -> Iterator[tuple[Sample, Prediction | PredictionError]]:
    """Each sample with what `get` gives for it, or, where failures are allowed, why it gives nothing."""
    for sample in samples:
        try:
            made: Prediction | PredictionError = get(sample)
        except Exception as error:  # a method's own code may raise anything
            if not allow_failures:
                raise
            made = running.failure(runner, error)
        yield sample, made
