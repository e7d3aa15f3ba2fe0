"""Scheme: a head on the frozen encoder, both trained on together, or one joint training, for the same encoder passes.

Source: Zha et al. 2023, arXiv 2210.01189, table 6.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from isotone.errors import ConfigError
from isotone.methods.end_to_end import Head
from isotone.report.study import Table
from isotone.settings import parts_of, resolve
from isotone.studies.ablation import Ablation, ablate
from isotone.studies.flags import Flag, plain
from isotone.studies.sweep import Arm

METHODS = ("rnc",)
FLAGS = {
    "--method": Flag("the method, with settings of its own (default: rnc)", plain),
    "--joint": Flag(
        "settings of the joint arm alone, such as 'lr=0.1 rnc-weight=0.5'; others are --method's, but for its lr",
        plain,
    ),
}
ABOUT = Ablation(
    "Scheme",
    "A method that trains an encoder alone leaves a choice: fit the head on the frozen encoder, train both on together "
    "on the labels, or add its loss to the head's from the start. Which has the smallest error for the same compute?",
    "scheme",
    Table(
        "As published",
        ("AgeDB", "MAE", "R2"),
        (("linear probe", "6.14", "0.850"), ("fine-tuned", "6.36", "0.844"), ("joint", "6.42", "0.833")),
        "arXiv 2210.01189, table 6; one run each, test persons are in training.",
    ),
    {"scheme": "the study's name"},
)


def scheme(
    table: str | Path,
    *,
    out: str | Path,
    method: str = "rnc",
    joint: str = "",
    seeds: int = 1,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a method with the head on its frozen encoder, fine-tuned, and jointly; see `isotone.studies.ablation`.

    The passes of fine-tuning are taken off those of the encoder's own training, so that all arms have as many. Joint is
    the method `joint`, RnC's loss beside the head's; for another method than rnc, or a head that joint does not have,
    it is left out, and the page says so.

    Args:
        table: with a target.
        out: folder of the study.
        method: that trains an encoder alone.
        joint: settings of the joint arm as name=value, with spaces between, over those of `method` that it knows. The
            learning rate in `method` is not taken over: without one here it is that of `settings`, else joint's own.
        seeds: number of seeds, from 0 on.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`; `finetune_passes` are those of the fine-tuned arm.

    Raises:
        ConfigError: the head is knn; fine-tuning would leave the encoder no passes of its own; `joint` sets passes,
            views or the head, or is given where that arm is left out.
    """
    if resolve(Arm.read(method).method, Arm.read(method).takes(settings)).method.head == "knn":
        raise ConfigError(
            "the study trains encoder and head on, and the head knn has nothing to train. Name another: --head l1."
        )
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
    others, note = _joint(Arm.read(method), joint, settings)
    about = replace(ABOUT, notes=(note,))
    return ablate(
        about, values, table, out=out, method=method, seeds=seeds, command=command, quiet=quiet, settings=settings,
        others=others,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------


def _joint(arm: Arm, own: str, settings: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Return the joint arm by its name, or none where there is no such thing, and what the page says of it."""
    made = resolve(arm.method, arm.takes(settings))
    if made.name != "rnc" or made.method.head not in get_args(Head):
        why = f"Joint is RnC's loss beside the error of a head l1, mse or huber, and the arm is {arm.name}"
        why += f" with head {made.method.head}." if made.name == "rnc" else "."
        if own:
            raise ConfigError(f"{why} Leave --joint out.")
        return {}, f"{why} It is left out."
    for name in sorted({"passes", "views", "head"} & Arm.read(f"joint {own}").settings.keys()):
        raise ConfigError(
            f"all schemes have the same passes, views and head. Leave `{name}` out of --joint; "
            f"--method 'rnc {name}=...' sets it for all."
        )
    known = {field.name for part in parts_of("joint") for field in fields(part)} - {"lr"}
    inherited = [word for word in arm.name.split()[1:] if word.partition("=")[0].replace("-", "_") in known]
    text = " ".join(["joint", *inherited, own]).strip()
    return {"joint": text}, f"Joint is the method `{text}`: one training with both losses, and the head it ends with."
