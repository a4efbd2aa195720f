"""The user's file of routes: ``routes.toml`` in the home, or where ``DRAINLAKE_ROUTES`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drainlake.errors import WrongUse
from transforms.route_pins import FILE_MAX_BYTES, NO_PINS, parse_pins

if TYPE_CHECKING:
    from drainlake.settings import Settings
    from transforms.route_pins import Pins


def read_pins(settings: Settings) -> Pins:
    """What the file says; nothing where there is none in the home. Raises :class:`WrongUse` naming file and entry."""
    path = settings.routes or settings.home / "routes.toml"
    if settings.routes is None and not path.exists():
        return NO_PINS
    try:
        with path.open("rb") as file:
            text = file.read(FILE_MAX_BYTES + 1)
        if len(text) > FILE_MAX_BYTES:
            raise ValueError(f"has more than {FILE_MAX_BYTES >> 10} KiB")
        return parse_pins(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise WrongUse(f"{path} is no UTF-8 text.", "save it as UTF-8") from None
    except OSError as error:
        raise WrongUse(
            f"{path} cannot be read: {error.strerror}.", "make it readable, or unset DRAINLAKE_ROUTES"
        ) from None
    except ValueError as error:
        raise WrongUse(f"{path} {error}.", "mend that entry, or move the file away") from None
