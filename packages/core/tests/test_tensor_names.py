import subprocess
import sys

from poseworks.core.tensor_names import renamed


def test_rules_apply_in_turn_each_wherever_it_fits() -> None:
    rules = iter(((r"^embed\.", "input."), (r"^input\.", "first."), (r"\.norm(\d)\.", r".bn\1.")))
    names = iter(("embed.weight", "blocks.0.norm1.bias", "a.norm1.b.norm2.bias", "scale"))
    assert renamed(names, rules) == {
        "embed.weight": "first.weight",
        "blocks.0.norm1.bias": "blocks.0.bn1.bias",
        "a.norm1.b.norm2.bias": "a.bn1.b.bn2.bias",
        "scale": "scale",
    }


def test_names_are_told_without_torch() -> None:
    code = "import sys, poseworks.core.tensor_names; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
