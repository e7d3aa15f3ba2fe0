"""Scheme: a head on the frozen encoder, or encoder and head trained on together, for the same number of encoder passes.

Source: Zha et al. 2023, arXiv 2210.01189, table 6. Its third scheme, the loss as a regulariser of one joint
training, is not offered.
"""

from pathlib import Path
from typing import Any

from isotone.errors import ConfigError
from isotone.report.study import Table
from isotone.settings import resolve
from isotone.studies.ablation import Ablation, ablate
from isotone.studies.flags import Flag, plain
from isotone.studies.sweep import Arm

METHODS = ("rnc",)
FLAGS = {"--method": Flag("the method, with settings of its own (default: rnc)", plain)}
ABOUT = Ablation(
    "Scheme",
    "A method that trains an encoder alone leaves a choice: fit the head on the frozen encoder, or train both on "
    "together, on the labels. Which has the smaller error for the same compute?",
    "scheme",
    Table(
        "As published",
        ("AgeDB", "MAE", "R2"),
        (("linear probe", "6.14", "0.850"), ("fine-tuned", "6.36", "0.844"), ("joint", "6.42", "0.833")),
        "arXiv 2210.01189, table 6; one run each, test persons are in training. Joint is not offered here.",
    ),
    {"scheme": "the study's name"},
)


def scheme(
    table: str | Path,
    *,
    out: str | Path,
    method: str = "rnc",
    seeds: int = 1,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a method with the head on its frozen encoder and fine-tuned; see `isotone.studies.ablation.ablate`.

    The passes of fine-tuning are taken off those of the encoder's own training, so that both arms have as many.

    Args:
        table: with a target.
        out: folder of the study.
        method: that trains an encoder alone.
        seeds: number of seeds, from 0 on.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`; `finetune_passes` are those of the fine-tuned arm.

    Raises:
        ConfigError: fine-tuning would leave the encoder no passes of its own.
    """
    tuning = int(settings.pop("finetune_passes", 0)) or resolve("rnc", {}).head.finetune_passes
    passes = resolve(Arm.read(method).method, Arm.read(method).takes(settings)).train.passes
    if passes <= tuning:
        raise ConfigError(
            f"fine-tuning takes {tuning} of {passes} passes and leaves the encoder none of its own. Ask for more "
            "--passes, or for fewer --finetune-passes."
        )
    values = {
        "fine-tuned": {"scheme": "finetune", "passes": passes - tuning, "finetune_passes": tuning},
        "frozen": {"scheme": "frozen", "passes": passes},
    }
    return ablate(
        ABOUT, values, table, out=out, method=method, seeds=seeds, command=command, quiet=quiet, settings=settings
    )
