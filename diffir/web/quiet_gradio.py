"""Prepare the environment before gradio is imported, so that it asks nobody on the internet and keeps to our folder.

By default gradio reports its use and looks for a newer version (four connections, counted), and takes settings from
variables of the environment, some of which open other folders or other addresses.
"""

import logging
import os
from importlib.util import find_spec
from pathlib import Path

from diffir.errors import MissingDependency

_SWITCHES = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_ANALYTICS_MAX_EVENTS": "20",  # of its own table of times, which is summed up anew with each request
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}


def prepare_gradio(folder: Path) -> None:
    """Set the variables that gradio reads; call this before the first import of gradio in the process.

    Args:
        folder: where gradio keeps every file.
    Raises:
        MissingDependency: gradio is not installed.
    """
    if find_spec("gradio") is None:
        raise MissingDependency("gradio", "diffir web", "web")
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ.update(_SWITCHES, GRADIO_TEMP_DIR=str(folder), GRADIO_EXAMPLES_CACHE=str(folder / "examples"))
    logging.getLogger("httpx").setLevel(logging.WARNING)  # which reports each of these requests
    # At its start gradio asks its own server, which a proxy of the environment would intercept.
    kept = [name for name in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys([*kept, "127.0.0.1", "localhost"]))
