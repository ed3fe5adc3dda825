"""Keys under gitlab, written in a configuration, change how GitLab is asked."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from artifact_sync.errors import ArtifactSyncError, CredentialRefused
from artifact_sync.simulator import TOKEN, Delivery, SimToken
from artifact_sync.simulator.faults import Fault, Stall

OTHER = "glpat-another-0123456789"


@pytest.mark.parametrize("source", ["{file: elsewhere}", "{env: SOME_TOKEN}", "{credential: gitlab-token}"])
async def test_a_token_comes_from_its_source(mirror, app, source, tmp_path: Path, monkeypatch):
    """A file in the configuration's folder, a variable, a credential of systemd's: where it is not, nothing is opened."""
    mirror.world.add_token(SimToken(value=TOKEN, revoked=True))
    mirror.world.add_token(SimToken(value=OTHER))
    mirror.build(app, "build")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    more = f"gitlab: {{token: {source}}}"
    with pytest.raises(CredentialRefused):
        await mirror.sync(more=more)
    (tmp_path / "elsewhere").write_text(f"{OTHER}\n")
    (tmp_path / "gitlab-token").write_text(OTHER)
    monkeypatch.setenv("SOME_TOKEN", OTHER)
    await mirror.sync(more=more)
    assert mirror.jobs == ["build"]


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("{file: token, kind: private}", {"PRIVATE-TOKEN": TOKEN}),
        ("{file: token, kind: bearer}", {"Authorization": f"Bearer {TOKEN}"}),
        ("{file: token, kind: job}", {"JOB-TOKEN": TOKEN}),
        ("{kind: none}", {}),
    ],
)
async def test_the_kind_of_a_token_is_the_header_it_is_sent_in(mirror, app, kind, headers):
    """And no other one. What such a token opens is GitLab's to say."""
    app.public = True
    with suppress(CredentialRefused):
        await mirror.sync(more=f"gitlab: {{token: {kind}}}")
    sent = mirror.world.requests[0].headers
    names = ("PRIVATE-TOKEN", "JOB-TOKEN", "Authorization")
    assert {name: sent[name] for name in names if name in sent} == headers


async def test_the_proxy_is_asked_for_an_address_that_only_it_knows(mirror, app):
    """`gitlab.url` is reached by it alone."""
    mirror.build(app, "build")
    more = f"gitlab: {{url: 'http://127.0.0.1:1', proxy: '{mirror.world.url}'}}"
    await mirror.sync(more=more)
    assert mirror.jobs == ["build"]
    assert mirror.world.requests[0].headers["Host"] == "127.0.0.1:1"


@pytest.mark.parametrize("spared", [False, True])
async def test_without_a_proxy_that_of_the_environment_is_asked(mirror, app, monkeypatch, spared):
    """Unless NO_PROXY names GitLab; the name is one that nobody else knows."""
    monkeypatch.setenv("http_proxy", mirror.world.url)
    monkeypatch.setenv("no_proxy", "gitlab.invalid" if spared else "other.invalid")
    app.public = True
    with pytest.raises(ArtifactSyncError):
        await mirror.sync(more="gitlab: {url: 'http://gitlab.invalid', token: {kind: none}}")
    assert {seen.headers["Host"] for seen in mirror.world.requests} == (set() if spared else {"gitlab.invalid"})


async def test_no_byte_for_the_timeout_ends_a_wait(mirror, app):
    """The request is made again; by default it would be waited for longer than a pass may take here."""
    fault = mirror.world.faults.add(Fault(action=Stall(seconds=300), path="/pipelines$"))
    mirror.build(app, "build")
    await mirror.sync(more="gitlab: {requests: {timeout: 1s}}")
    assert (fault.fired, mirror.jobs) == (1, ["build"])


@pytest.mark.parametrize("requests", ["per_minute: 1", "{per_minute: 60, keep_share: 0.99}"])
async def test_no_more_is_asked_than_the_budget_has(mirror, app, requests):
    """With one a minute a pass of five requests comes to its second one at most, however long one looks."""
    mirror.build(app, "build")
    async with mirror.engine(more=f"gitlab: {{requests: {{{requests.strip('{}')}}}}}") as engine:
        with anyio.move_on_after(3):
            await engine.sync()
    assert 1 <= len(mirror.world.requests) <= 2


@pytest.mark.parametrize(("concurrency", "asked"), [(2, 2), (16, 3)])
async def test_no_more_is_asked_at_the_same_time_than_concurrency(mirror, app, world, concurrency, asked):
    """Three archives, of which no answer comes."""
    for name in "abc":
        mirror.build(app, name)
    world.faults.add(Fault(action=Stall(seconds=300), path="/artifacts$", times=None))
    async with mirror.engine(more=f"gitlab: {{requests: {{concurrency: {concurrency}}}}}") as engine:
        with anyio.move_on_after(3):
            await engine.sync()
    assert sum(seen.path.endswith("/artifacts") for seen in world.requests) == asked


@pytest.mark.parametrize("listed", [True, False])
async def test_redirect_hosts_are_the_only_ones_that_a_download_is_sent_to(mirror, app, listed):
    """The object store's, or another one."""
    mirror.world.delivery = Delivery.REDIRECT
    mirror.build(app, "build")
    host = urlsplit(mirror.world.storage_url).hostname if listed else "objects.example.com"
    report = await mirror.sync(more=f"{{gitlab: {{redirect_hosts: ['{host}']}}, downloads: {{attempts: 1}}}}")
    assert (report.complete, mirror.jobs) == (listed, ["build"] * listed)
    assert any(seen.origin == "storage" for seen in mirror.world.requests) == listed
