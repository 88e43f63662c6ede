"""Checkpoints of every method in the layout in which they were published or trained, with small contents."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines import gong2017, jin2018, nah2017, noroozi2017, purohit2019, shen2020, zhang2019, zhang2020, zhang2021, zhong2022
from blurbench.convert import convert
from blurbench.errors import WeightsError
from tests.baselines.official import small_state, tensorflow_arrays


def old(content, path):
    """As torch wrote before version 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


def parallel(state):
    """Under the names of training on several GPUs."""
    return {f"module.{key}": value for key, value in state.items()}


def parts(network, names):
    """What the checkpoint of each part holds, by name of the part."""
    return {name: small_state(network.get_submodule(name)) for name in names}


def official_jin2018(folder):
    for part, state in parts(jin2018.Sequence(), jin2018.STEMS).items():
        running = {f"{key.removesuffix('bias')}running_mean": value + 9 for key, value in state.items() if key.endswith("norm1.bias")}
        old({"epoch": 3, "state_dict_G": parallel(state | running)}, folder / f"{jin2018.STEMS[part]}.pth")


def official_nah2017(folder):
    torch.save({"G": small_state(nah2017.MSResNet()), "D": {"weight": torch.zeros(1)}}, folder / "model-1000.pt")


def official_shen2020(folder):
    network = shen2020.Recurrent()
    network.load_state_dict(small_state(network))
    old(parallel(network.state_dict()), folder / "adobe_bin.pth")


def official_tao2018(name):
    def files(folder):
        np.savez(folder / "srn.npz", **tensorflow_arrays(name), beta1_power=np.float32(0.9))

    return files


def official_zhang2019(cls):
    def files(folder):
        whole = small_state(cls.build())
        for stem in cls.stems:
            kind, *stage, level = stem.split("_")
            start = ".".join([*stage, f"{kind}_{level}."])
            state = OrderedDict((key.removeprefix(start), value) for key, value in whole.items() if key.startswith(start))
            old(state, folder / f"{stem}.pkl")

    return files


def official_zhang2021(as_released):
    def files(folder):
        network = zhang2021.MotionETR(as_released)
        torch.save(network.offset.state_dict(), folder / "latest_net_offset.pth")
        torch.save(parallel(network.deblur.state_dict()), folder / "latest_net_deblur.pth")

    return files


def official_zhong2022(folder):
    with torch.device("meta"):
        network = zhong2022.Animation()
    for part, state in parts(network, zhong2022.STEMS).items():
        torch.save(parallel(state), folder / f"{zhong2022.STEMS[part]}.pth")
    (folder / "cfg.yaml").write_text("in_channels: 3\n")


def trained_zhang2020(folder):
    state = {key: value.half().contiguous() for key, value in small_state(zhang2020.Generator()).items()}
    save_file(state, folder / "mine.safetensors", metadata={"card": json.dumps({"dataset": "gopro7"})})


def trained(network):
    def write(folder):
        torch.save(small_state(network()), folder / "mine.pth")

    return write


def blur_to_video():
    """As training leaves it, without the video encoder."""
    network = purohit2019.BlurToVideo()
    del network.video_encoder
    return network


FORMATS = {
    "jin2018": official_jin2018,
    "nah2017": official_nah2017,
    "shen2020": official_shen2020,
    "shen2020-video": official_shen2020,
    "tao2018": official_tao2018("tao2018"),
    "tao2018-gray": official_tao2018("tao2018-gray"),
    "tao2018-color": official_tao2018("tao2018-color"),
    "zhang2019": official_zhang2019(zhang2019.Zhang2019),
    "zhang2019-1248": official_zhang2019(zhang2019.Zhang2019Deeper),
    "zhang2019-stack4": official_zhang2019(zhang2019.Zhang2019Stack),
    **{f"zhang2020{suffix}": trained_zhang2020 for suffix in ("", "-bg", "-bgh", "-iterated")},
    **dict.fromkeys(("noroozi2017", "noroozi2017-si"), trained(noroozi2017.DeblurNet)),
    "purohit2019": trained(blur_to_video),
    "zhang2021": official_zhang2021(True),
    "zhang2021-reblur": official_zhang2021(True),
    "zhang2021-paper": official_zhang2021(False),
    "gong2017": trained(gong2017.MotionFlow),
    **{f"zhong2022{suffix}": official_zhong2022 for suffix in ("", "-deterministic", "-video", "-annotated")},
}


def failed(*arguments, error=WeightsError, **options):
    """The message of a conversion that must fail, which must be one line."""
    with pytest.raises(error) as caught:
        convert(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
