"""Markdown table of denoising results: methods x sets x sigmas, from files of ``diffir eval --json``.

python tools/results_table.py RESULTS.json ... > table.md
"""

import json
import sys
from pathlib import Path

METRIC, DIGITS = "psnr", 2


def main() -> None:
    """Collect means, print one row a method."""
    cells: dict[str, dict[tuple[str, float], float]] = {}
    for path in map(Path, sys.argv[1:]):
        result = json.loads(path.read_text("utf-8"))
        for method in result["methods"]:
            row = cells.setdefault(method["name"], {})
            row[result["dataset"], result["degradation"]["sigma"]] = method["means"][METRIC]
    columns = sorted({column for row in cells.values() for column in row})
    sets = list(dict.fromkeys(name for name, _ in columns))
    sigmas = {name: [sigma for of, sigma in columns if of == name] for name in sets}
    print("| method | " + " | ".join(f"{s} {' / '.join(f'{x:g}' for x in sigmas[s])}" for s in sets) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for method, row in cells.items():
        values = (" / ".join(f"{row[s, x]:.{DIGITS}f}" if (s, x) in row else "-" for x in sigmas[s]) for s in sets)
        print(f"| {method} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
