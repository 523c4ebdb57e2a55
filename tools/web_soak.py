"""Ask a page of ``diffir web`` for many restorations from several visitors at once, and report time, memory and losses.

    python tools/web_soak.py [REQUESTS] [VISITORS]     500 requests of 8 visitors, unless told otherwise

The page runs in a process of its own at 127.0.0.1. Every request uploads a tiny photo, restores it, downloads
the result and compares its pixels with what ``diffir.load`` makes of the same photo. Needs the extra web.
"""

import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from diffir import load  # noqa: E402 - the checkout is not installed everywhere
from diffir.image_io import write_image  # noqa: E402
from tests.web.page_clients import Visit  # noqa: E402

SIDE = 40  # pixels
DIFFERENT = 16  # photos


@contextmanager
def page() -> Iterator[tuple[str, int]]:
    """Run a page on a free port; yield its address and the number of its process."""
    command = [sys.executable, "-m", "diffir", "web", "--no_browser", "--port", "0", "--device", "cpu"]
    with subprocess.Popen([*command, "--precision", "fp32"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2], process.pid
        process.terminate()


def megabytes(pid: int) -> float:
    """Memory of a process that lies in RAM, by Linux's own count."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if "VmRSS" in line)
    return int(line.split()[1]) / 1024


def photos(folder: Path) -> list[tuple[Path, np.ndarray]]:
    """Write noisy photos; return each with what the network makes of it."""
    restorer = load("denoise", device="cpu", precision="fp32")
    made = []
    for number in range(DIFFERENT):
        image = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        write_image(folder / f"photo_{number}.png", image)
        made.append((folder / f"photo_{number}.png", np.asarray(restorer.restore(image))))
    return made


def visit_until_empty(url: str, waiting: "Queue[int]", made: list, finished: list[float], wrong: list[str]) -> None:
    """Be one visitor, who takes requests from the queue."""
    visit = Visit(url)
    while True:
        try:
            number = waiting.get_nowait()
        except Empty:
            visit.close()
            return
        path, expected = made[number % DIFFERENT]
        start = time.perf_counter()
        try:
            said = visit.add(path)
            ((name, content),) = visit.restore("denoise")
            same = np.array_equal(np.asarray(Image.open(io.BytesIO(content))), expected)
            if said or name != path.name or not same:
                wrong.append(f"request {number}: {said or 'another picture'}")
            visit.clear()
        except Exception as error:  # noqa: BLE001 - it is a lost request, which is what is counted
            wrong.append(f"request {number}: {error!r}")
        finished.append(time.perf_counter() - start)


def main() -> None:
    """Run the requests, and print a line every 50 and a summary."""
    count, visitors = (int(word) for word in (*sys.argv[1:], *("500", "8")[len(sys.argv) - 1 :]))
    waiting: Queue[int] = Queue()
    for number in range(count):
        waiting.put(number)
    finished: list[float] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, page() as (url, pid):
        made, start, told = photos(Path(folder)), time.perf_counter(), 0
        arguments = (url, waiting, made, finished, wrong)
        threads = [threading.Thread(target=visit_until_empty, args=arguments) for _ in range(visitors)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if len(finished) >= told + 50:
                told = len(finished) // 50 * 50
                seconds = time.perf_counter() - start
                print(f"{told:4} requests, {seconds:5.0f} s, {megabytes(pid):5.0f} MB", flush=True)
        seconds = time.perf_counter() - start
        print(f"{len(finished)} of {count} requests of {visitors} visitors in {seconds:.0f} s, {megabytes(pid):.0f} MB")
    print(f"seconds a request: median {np.median(finished):.2f}, longest {max(finished):.2f}")
    print("nothing lost" if len(finished) == count and not wrong else f"{len(wrong)} wrong: {wrong[:5]}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
