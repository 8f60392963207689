"""The published variants as data, and what their checkpoints call the tensors of our networks.

None of the files come with this package, and none could be opened when this was written: names and shapes are those
that the published code makes. Where a file is at hand its sizes are read from its tensors, never from this table.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from poseworks.core.tensor_names import renamed
from poseworks.lifting.graphs import PARTITIONS

Method = Literal["LCN", "EHGFormer"]
LICENCE = "not stated for the weights; Human3.6M is for academic use only"


@dataclass(frozen=True)
class Published:
    """A set of weights that somebody published.

    Attributes:
        name: ours, for `load` and the `models` verb.
        file: where it is looked for in the folders of POSEWORKS_WEIGHTS.
        sizes: fields of LCNConfig or EHGFormerConfig.
        parameters: numbers in its trained tensors.
        claim: the accuracy that its makers state, with the protocol: the two methods' numbers do not compare.
        claim_mm: its number.
    """

    name: str
    method: Method
    file: str
    training_data: str
    sizes: Mapping[str, Any]
    parameters: int
    claim: str
    claim_mm: float
    note: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)  # of `load`: what the tensors do not tell

    @property
    def kind(self) -> str:
        """Of its config."""
        return self.method.lower()


def _lcn() -> Iterable[Published]:
    protocol = "MPJPE in the camera frame without root alignment, all frames"
    for name, data, claim in (
        ("lcn-gt", "Human3.6M, true 2D", 32.5),
        ("lcn-sh", "Human3.6M, finetuned stacked hourglass 2D", 51.1),
    ):
        yield Published(
            name=name,
            method="LCN",
            file=f"{name}/variables.npz",
            training_data=data,
            sizes={"in_features": 2, "channels": 64, "layers": 3, "knn": 3},
            parameters=7_203_507,
            claim=f"Human3.6M {claim} mm ({protocol})",
            claim_mm=claim,
            note="flip averaging, or confidence as third input: each about 1 mm better, as claimed",
            options={"knn": 3},
        )


def _ehgformer() -> Iterable[Published]:
    protocol = "MPJPE after root alignment, every second frame, block list"
    rows = (
        ("static", "root-relative labels", {1: 38.8, 2: 38.8}),
        ("dynamic", "labels with the root's path", {1: 38.3, 2: 38.2}),
        ("distilled", "labels with the root's path, taught by the full network", {1: 39.9, 2: 39.8}),
    )
    for kind, labels, claims in rows:
        small = kind == "distilled"
        for partition, claim in claims.items():
            name = f"ehgformer-{kind}-p{partition}"
            yield Published(
                name=name,
                method="EHGFormer",
                file=f"{name}/best_epoch.bin",
                training_data=f"Human3.6M, finetuned stacked hourglass 2D with confidence; {labels}",
                sizes={
                    "frames": 243,
                    "width": 128 if small else 512,
                    "blocks": 6 if small else 8,
                    "heads": 8,
                    "mlp_ratio": 2.0,
                    "groups": PARTITIONS[partition],
                },
                parameters=2_532_537 if small else 52_726_347,
                claim=f"Human3.6M {claim} mm ({protocol})",
                claim_mm=claim,
                note="static and dynamic are the same network: the file does not tell which it is",
                options={"partition": partition},
            )


@functools.cache
def published_weights() -> dict[str, Published]:
    """Every published variant by name."""
    return {entry.name: entry for entry in (*_lcn(), *_ehgformer())}


# --- EHGFormer's names ------------------------------------------------------------------------------------------------

_EHGFORMER_RULES = (  # ours, theirs; each applies at most once, in turn
    (r"^joint_embedding$", "Spatial_pos_embed"),
    (r"^frame_embedding$", "Temporal_pos_embed"),
    (r"^embed\.", "Spatial_patch_to_embedding."),
    (r"^space_norm\.", "Spatial_norm."),
    (r"^time_norm\.", "Temporal_norm."),
    (r"^head_norm\.", "head.0."),
    (r"^head\.(weight|bias)", r"head.1.\1"),
    (r"^space\.(\d+)\.joints\.", r"STEblocks.\1.common_attn_blk."),
    (r"^space\.(\d+)\.groups\.", r"STEblocks.\1.hyper_attn_blk."),
    (r"^time\.", "TTEblocks."),
    (r"\.attention\.gather\.", ".hyper_edge.pro_linears.0."),
    (r"\.attention\.relation$", ".attn.outer"),
    (r"\.attention\.w$", ".attn.w1"),
    (r"\.attention\.project\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"\.mlp\.expand\.", ".mlp.fc1."),
    (r"\.mlp\.contract\.", ".mlp.fc2."),
    (r"(\.\d+\.(?:\w+_attn_blk\.)?)norm\.", r"\1norm1."),
    (r"\.mlp_norm\.", ".norm2."),
)


def ehgformer_names(ours: Iterable[str]) -> dict[str, str]:
    """What the published code calls each tensor of an EHGFormer, without the prefix ``module.``."""
    return renamed(ours, _EHGFORMER_RULES)


# --- LCN's names ------------------------------------------------------------------------------------------------------

_LCN_RULES = (
    (r"^mask_logits$", "mask"),
    (r"^input\.weight$", "linear_model/w1"),
    (r"^input\.bias$", "linear_model/b1"),
    (r"^output\.weight$", "linear_model/w4"),
    (r"^output\.bias$", "linear_model/b4"),
    (r"^input_activation\.norm\.", "linear_model/batch_normalization/"),
    (r"^blocks\.(\d+)\.first\.weight$", r"linear_model/two_linear_\1/w2_\1"),
    (r"^blocks\.(\d+)\.first\.bias$", r"linear_model/two_linear_\1/b2_\1"),
    (r"^blocks\.(\d+)\.second\.weight$", r"linear_model/two_linear_\1/w3_\1"),
    (r"^blocks\.(\d+)\.second\.bias$", r"linear_model/two_linear_\1/b3_\1"),
    (r"^blocks\.(\d+)\.first_activation\.norm\.", r"linear_model/two_linear_\1/batch_normalization1\1/"),
    (r"^blocks\.(\d+)\.second_activation\.norm\.", r"linear_model/two_linear_\1/batch_normalization2\1/"),
    (r"/weight$", "/gamma"),
    (r"/bias$", "/beta"),
    (r"/running_mean$", "/moving_mean"),
    (r"/running_var$", "/moving_variance"),
)


def lcn_names(ours: Iterable[str]) -> dict[str, str]:
    """What the published code's TensorFlow graph calls each tensor of an LCN."""
    return renamed(ours, _LCN_RULES)
