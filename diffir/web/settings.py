"""What the person who starts the page decides: its address, its password, its device and its limits."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from diffir.errors import UsageError
from diffir.field_ranges import Within, check_fields

USER = "diffir"
"""Name that belongs to the password."""


@dataclass(frozen=True)
class WebSettings:
    """Address, password, device and limits of the page."""

    host: str = "127.0.0.1"
    """Address on which the page is served; another one than the loopback needs a password."""
    port: Annotated[int, Within(0, 65535)] = 7860
    """Port of the address; 0 takes a free one."""
    password: str | None = None
    """What a visitor must type; None admits everyone who reaches the address."""
    device: str = "auto"
    """Device on which all photos are restored, one after the other."""
    precision: str = "auto"
    """Precision of the networks."""
    max_pixels: Annotated[int, Within(1)] = 100_000_000
    """Largest number of pixels of a result, over all frames of an animation."""
    max_bytes: Annotated[int, Within(1)] = 200_000_000
    """Largest size of an uploaded file."""
    max_photos: Annotated[int, Within(1)] = 100
    """Largest number of photos of one visitor."""
    max_waiting: Annotated[int, Within(1)] = 16
    """Largest number of requests that wait for the device; further ones are told to come back."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.password is not None and not self.password:
            raise UsageError("the password is empty: give one, or leave out --password on 127.0.0.1")
        if not is_loopback(self.host) and self.password is None:
            raise UsageError(
                f"{self.host} can be reached from other machines, so it needs a password: add --password, "
                "or leave out --host"
            )


def is_loopback(host: str) -> bool:
    """Return whether an address is that of this machine alone, such as 127.0.0.1, ::1 or localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
