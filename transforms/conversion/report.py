"""The report of checked products, for programs and for people.

`NAME_report.json` is an object with these keys:

- `tensorflow`: the version that converted and compared.
- `quantised`: whether the model is quantised.
- `products`: file name -> `bytes` and `sha256`.
- `made_from`: name -> SHA-256 of the files that the products were made from and checked with.
- `rules`: name -> text of each rule; the model keeps all of them.
- `agreement`: `images`, the number of images; for each kind of kernels, `reference` and `default`:
  name of a figure -> `value`, `says` and, if there is a limit, `limit`, which begins with "at most"
  or "at least"; `among` is the same figure for the two kinds of kernels, compared with each other
  (see noise.py).
- `edge_tpu`: what the Edge TPU's compiler is predicted to do with the extractor: `operators`, their
  number; `mapped`, how many of these are mapped to the chip; `on_cpu`, the others: `operator`,
  `index`, `rule`, `why` and `source`; `parameter_bytes` of the mapped ones, and `on_chip_bytes`,
  the size of the chip's memory; `runtime`, the first version of the runtime with all mapped
  operations, 0 for any; `command`, which compiles the extractor, or null and `refusal`, if the
  compiler would refuse it; `sources` of the rules.
- `operators`: in the order of execution: `operator`, `version`, and the lists `inputs` and
  `outputs` of tensors, each with `name`, `type`, `shape`, `constant` and, if it is quantised,
  `scale` and `zero_point`. An optional input that is left out is null.

Figures have five significant digits. Equal products give equal reports.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from imprinting.tflite import (
    edge_tpu,
    edge_tpu_rules,
    edge_tpu_text,
    model_file,
    model_graph,
    product_rules,
)
from imprinting.tflite.inference import Kernels
from imprinting.tflite.model_graph import Operator, Tensor
from transforms.conversion.agreement_figures import Figure
from transforms.conversion.check import Checked


def files(checked: Checked, *, name: str, made_from: Mapping[str, str]) -> dict[str, bytes]:
    """Returns the files to write: the products and the report.

    Args:
      checked: the products.
      name: the beginning of the files' names.
      made_from: name -> SHA-256 of the files that they were made from.

    Returns:
      File name -> bytes.
    """
    products = {
        f"{name}.tflite": checked.tflite_model,
        f"{name}_extractor.tflite": checked.extractor,
        f"{name}_head.tflite": checked.head,
    }
    report = build(checked, products=products, made_from=made_from)
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    return {
        **products,
        f"{name}_report.json": text.encode(),
        f"{name}_report.md": markdown(report, name=name).encode(),
    }


def build(
    checked: Checked, *, products: Mapping[str, bytes], made_from: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the report as the object that the module's docstring describes."""
    graph = model_graph.graph(model_file.parse(checked.tflite_model))
    return {
        "tensorflow": tf.__version__,
        "quantised": checked.quantised,
        "products": {
            path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in products.items()
        },
        "made_from": dict(made_from),
        "rules": {name: rule.says for name, rule in product_rules.RULES.items()},
        "agreement": {"images": checked.images}
        | {
            kernels.value: {figure.name: _figure(figure) for figure in figures}
            for kernels, figures in checked.agreement.items()
        },
        "edge_tpu": _edge_tpu(checked.extractor, products),
        "operators": [_operator(op) for op in graph.operators],
    }


def markdown(report: Mapping[str, Any], *, name: str) -> str:
    """Returns the report as Markdown text with tables."""
    kind = "Quantised (uint8)" if report["quantised"] else "Float"
    kernels = [kind.value for kind in Kernels]
    agreement = report["agreement"]
    lines = [
        f"# {name}",
        "",
        f"{kind}, as its checkpoint is; made and checked with TensorFlow {report['tensorflow']}.",
    ]
    lines += _table(
        "Products",
        ["file", "bytes", "SHA-256"],
        [[path, f"{p['bytes']:,}", p["sha256"]] for path, p in report["products"].items()],
    )
    lines += _table(
        f"Agreement with the graph, over {agreement['images']} images",
        ["figure", "what", *(f"{k} kernels" for k in kernels), "among themselves", "limit"],
        [
            [
                figure,
                first["says"].rstrip(","),
                *(f"{agreement[k][figure]['value']:g}" for k in kernels),
                f"{first['among']:g}" if "among" in first else "",
                first.get("limit", ""),
            ]
            for figure, first in agreement[kernels[0]].items()
        ],
    )
    lines += _edge_tpu_lines(report["edge_tpu"])
    lines += _table(
        "Rules that are kept", ["rule", "what"], [[*r] for r in report["rules"].items()]
    )
    lines += _table(
        "Operators",
        ["", "operator", "version", "inputs", "outputs"],
        [
            [
                str(index),
                op["operator"],
                str(op["version"]),
                "<br>".join(_shown(tensor) for tensor in op["inputs"]),
                "<br>".join(_shown(tensor) for tensor in op["outputs"]),
            ]
            for index, op in enumerate(report["operators"])
        ],
    )
    lines += _table("Made from", ["what", "SHA-256"], [[*r] for r in report["made_from"].items()])
    return "\n".join(lines) + "\n"


def _edge_tpu(extractor: bytes, products: Mapping[str, bytes]) -> dict[str, Any]:
    prediction = edge_tpu.predict(model_file.parse(extractor))
    (path,) = (name for name, data in products.items() if data is extractor)
    found: dict[str, Any] = {
        "operators": len(prediction.verdicts),
        "mapped": prediction.num_mapped,
        "on_cpu": [
            {
                "operator": verdict.operator.name,
                "index": verdict.operator.index,
                "rule": verdict.rule,
                "why": verdict.why,
                "source": verdict.source,
            }
            for verdict in prediction.unmapped
        ],
        "parameter_bytes": prediction.parameter_bytes,
        "on_chip_bytes": edge_tpu_rules.ON_CHIP_BYTES,
        "runtime": prediction.runtime,
        "command": None if prediction.refusal else edge_tpu.command(path),
        "sources": edge_tpu_text.sources(prediction),
    }
    if prediction.refusal:
        found["refusal"] = prediction.refusal
    return found


def _edge_tpu_lines(found: Mapping[str, Any]) -> list[str]:
    lines = ["", "## Edge TPU", ""]
    if "refusal" in found:
        return [*lines, "The compiler refuses the extractor, which is not quantised to 8 bits."]
    size, room = found["parameter_bytes"], found["on_chip_bytes"]
    lines += [
        f"The compiler is predicted to map {found['mapped']} of {found['operators']} operators of "
        f"the extractor, with {size:,} bytes of parameters; the chip has {room:,} bytes (8 MiB) "
        f"for them and for the program. To compile it, type `{found['command']}`.",
        "",
        f"Sources of the rules: {', '.join(found['sources'])}.",
    ]
    if found["on_cpu"]:
        lines += _table(
            "Operators of the extractor that stay on the CPU",
            ["", "operator", "rule", "why"],
            [[str(v["index"]), v["operator"], v["rule"], v["why"]] for v in found["on_cpu"]],
        )
    return lines


def _figure(figure: Figure) -> dict[str, Any]:
    row: dict[str, Any] = {"value": _rounded(figure.value), "says": figure.says}
    if figure.limit is not None:
        row["limit"] = figure.bound
    if figure.kernel_disagreement is not None:
        row["among"] = _rounded(figure.kernel_disagreement)
    return row


def _operator(op: Operator) -> dict[str, Any]:
    return {
        "operator": op.name,
        "version": op.version,
        "inputs": [None if tensor is None else _tensor(tensor) for tensor in op.inputs],
        "outputs": [_tensor(tensor) for tensor in op.outputs],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    row = {
        "name": tensor.name,
        "type": tensor.type.lower(),
        "shape": list(tensor.shape),
        "constant": tensor.constant,
    }
    if len(tensor.scales) == 1:
        # Nine digits are enough for a float32.
        row |= {"scale": _rounded(tensor.scales[0], 9), "zero_point": tensor.zero_points[0]}
    return row


def _shown(tensor: Mapping[str, Any] | None) -> str:
    if tensor is None:
        return "none"
    text = f"{tensor['type']} {tensor['shape']}{' constant' if tensor['constant'] else ''}"
    if "scale" in tensor:
        text += f", {tensor['scale']:.6g} (q - {tensor['zero_point']})"
    return text


def _rounded(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")


def _table(title: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    cells = [heads, ["---"] * len(heads), *rows]
    lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells]
    return ["", f"## {title}", "", *lines]
