"""The proxy of the environment, as other programs find it."""

import pytest

from artifact_sync.proxies import proxy_of_environment

PROXY, OTHER = "http://proxy.example:3128", "http://other.example:3128"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """None of the caller's variables."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://gitlab.example.com", None),
        ({"HTTPS_PROXY": PROXY}, "https://gitlab.example.com/gitlab", PROXY),
        ({"https_proxy": PROXY}, "https://gitlab.example.com", PROXY),
        ({"HTTP_PROXY": PROXY}, "https://gitlab.example.com", None),
        ({"ALL_PROXY": OTHER, "HTTPS_PROXY": PROXY}, "https://gitlab.example.com", PROXY),
        ({"ALL_PROXY": OTHER}, "https://gitlab.example.com", OTHER),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, "https://gitlab.example.com", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, "https://gitlab.example.com", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example.com"}, "https://gitlab.example.com", PROXY),
        ({"HTTP_PROXY": PROXY}, "http://127.0.0.1:8080", None),
        ({"HTTP_PROXY": PROXY}, "http://[::1]:8080", None),
        ({"HTTP_PROXY": PROXY}, "http://localhost", None),
    ],
)
def test_the_proxy_of_an_address(monkeypatch, variables, url, proxy):
    """By its scheme, or for all; none for what NO_PROXY names, nor for this machine."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of_environment(url) == proxy
