"""What errors quote of the texts that people write."""

from __future__ import annotations

import pytest

from drainlake.commands.attach import split_url
from drainlake.errors import WrongUse
from drainlake.values import without_credentials


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("https://shop:s3cr3t@h.example/logs", "https://…@h.example/logs"),
        ("shop:s3cr3t@h.example", "…@h.example"),
        ("https://shop:s3/cr@3t@h.example", "https://…@h.example"),
        ("https://h.example/logs", "https://h.example/logs"),
    ],
)
def test_an_error_about_a_url_quotes_no_credentials(written: str, said: str) -> None:
    """Also where a secret has characters that a URL may not carry."""
    assert without_credentials(written) == said


@pytest.mark.parametrize("url", ["https://shop:s3cr3t@h.example:99999/logs", "shop:s3cr3t@h.example"])
def test_attach_refuses_a_url_with_credentials_without_quoting_them(url: str) -> None:
    """A shell's history has them, a CI's log need not."""
    with pytest.raises(WrongUse) as refused:
        split_url(url)
    assert "s3cr3t" not in str(refused.value)
