"""The model card of a repository on the Hugging Face Hub, made from the card of published weights.

In: a card and the name of the repository. Out: the text of README.md: YAML that the hub reads (licence, tags, scores as
model-index) and, below it, the same for people. See https://huggingface.co/docs/hub/model-cards.
"""

import re
from typing import Any

import yaml

from diffir.errors import WeightsError
from diffir.weights.card import Score, WeightsCard

# Identifiers of licences on the hub, by ours in lower case; others are "other" with their name.
_LICENCES = (
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
)
_TASK = "image-to-image"


def model_card(card: WeightsCard, repository: str, *, has_mask: bool) -> str:
    """Return README.md for a repository ``OWNER/NAME``; ``has_mask`` tells that the network fills missing regions.

    Raises:
        WeightsError: the card states no licence, without which nobody may use the weights.
    """
    if not card.licence:
        raise WeightsError(f"{card.name} states no licence: add it with diffir convert --licence, and push the result")
    facts = yaml.safe_dump(_facts(card), sort_keys=False, allow_unicode=True, width=120)
    flag, argument = (" --mask mask.png", ', mask="mask.png"') if has_mask else ("", "")
    lines = [
        f"# {card.name}",
        f"{_sentence(card.summary)} A network for the image restoration toolkit diffir (system {card.system}).".strip(),
        "## Use",
        f"```bash\ndiffir restore photo.png -o restored.png -n hf:{repository}{flag}\n```",
        f'```python\nimport diffir\n\nrestorer = diffir.load("hf:{repository}")\n'
        f'restorer.restore_file("photo.png", "restored.png"{argument})\n```',
    ]
    if card.denoise_strength is not None:
        usual = f"the usual mix is {card.denoise_strength:g}"
        lines += [f"`-dn` goes from 0 (the grain is kept) to 1 (the most noise is removed); {usual}."]
    if card.notes:
        lines += ["## What it does and does not", card.notes]
    if card.scores:
        lines += ["## Scores", _table(card.scores)]
    training = card.training if isinstance(card.training, str) else ""
    about = [("Training photos", card.data), ("Training", training), ("Licence", card.licence)]
    lines += ["## Data and licence", "\n".join(f"- {label}: {text}" for label, text in about if text)]
    return f"---\n{facts}---\n\n" + "\n\n".join(lines) + "\n"


def _facts(card: WeightsCard) -> dict[str, Any]:
    known = card.licence.lower() in _LICENCES
    licence: dict[str, Any] = {"license": card.licence.lower() if known else "other"}
    if not known:
        licence["license_name"] = re.sub(r"[^a-z0-9.]+", "-", card.licence.lower()).strip("-")
    tags = dict.fromkeys(["image-restoration", card.system, *filter(None, [card.task])])
    facts = licence | {"library_name": "diffir", "pipeline_tag": _TASK, "tags": list(tags)}
    return facts | ({"model-index": [{"name": card.name, "results": _results(card.scores)}]} if card.scores else {})


def _results(scores: tuple[Score, ...]) -> list[dict[str, Any]]:
    """One result for each data set and condition, with its metrics."""
    results: dict[str, dict[str, Any]] = {}
    for score in scores:
        where = f"{score.dataset} {score.condition}".strip()
        dataset = {"type": score.dataset, "name": where}
        result = results.setdefault(where, {"task": {"type": _TASK}, "dataset": dataset, "metrics": []})
        how = ", ".join(filter(None, (score.protocol, "published" if score.published else "measured with diffir")))
        result["metrics"].append(
            {"type": score.metric, "value": score.value, "name": f"{score.metric.upper()} ({how})"}
        )
    return list(results.values())


def _table(scores: tuple[Score, ...]) -> str:
    rows = [
        (f"{one.dataset} {one.condition}".strip(), one.metric.upper(), f"{one.value:g}", one.protocol) for one in scores
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [("set", "metric", "value", "protocol"), ("---",) * 4, *rows])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
