"""Who may see the dashboard: tokens, sessions of browsers, and the projects of each."""

from collections.abc import Mapping

import aiohttp
import pytest
from structlog.testing import capture_logs

from artifact_sync.core.rules import Fetch
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.errors import CredentialRefused
from artifact_sync.ports import Trouble
from artifact_sync.web import Reader
from artifact_sync.web.dashboard.sessions import Sessions
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.dashboard_harness import look, shown
from tests.integration.web.web_harness import ended, told

TOKEN = "reader-token-0123456789"
SCOPED = "scoped-token-0123456789"
PAGES = ("/", "/browse", "/browse/1", "/browse/1/jobs", "/search?q=a", "/explain")


@pytest.fixture
async def two(world, app, tmp_path):
    """Two mirrored projects."""
    lib = world.add_project("acme/libs/core")
    jobs = [ended(world, app, "secret-name")[0], ended(world, lib, "open-name")[0]]
    async with rig(world, tmp_path, rule("acme/**", fetch=Fetch())) as daemon:
        await daemon.sync()
        yield daemon, jobs


@pytest.fixture
async def browser():
    """Keeps cookies, also of an address."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def scoped(*projects: str) -> Reader:
    """A reader of these projects."""
    return told(SCOPED, projects=ProjectSelectors.parse(projects or ["acme/libs/**"]))


async def login(
    browser: aiohttp.ClientSession, url: str, token: str, place: str = "/", **headers: str
) -> tuple[int, Mapping[str, str], str, str]:
    """Send the form; the answer's status, headers and cookie."""
    form = {"token": token, "next": place}
    async with browser.post(f"{url}/login", data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers, answer.headers.get("Set-Cookie", ""), await answer.text()


async def test_without_a_token_every_page_leads_to_the_login(two, http):
    """And back to itself afterwards; nothing else is told, and events are refused."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        for path in PAGES:
            page = await look(http, served.url + path)
            assert page.status == 303
            assert page.headers["Location"].startswith("/login?next=%2F")
            assert page.text == ""
        async with http.get(f"{served.url}/events") as answer:
            assert answer.status == 401
        page = await look(http, f"{served.url}/login?next=/browse/1")
        assert page.status == 200
        assert ("input", {"type": "hidden", "name": "next", "value": "/browse/1"}) in page.tags


async def test_a_token_begins_a_session_and_logout_ends_it(two, browser):
    """The cookie is for this site and no script; it names a session, and no token is in it."""
    daemon, (job, _) = two
    async with shown(daemon, told(TOKEN)) as served:
        status, headers, cookie, _ = await login(browser, served.url, TOKEN, "/browse/1")
        assert (status, headers["Location"]) == (303, "/browse/1")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        for path in PAGES:
            assert (await look(browser, served.url + path)).status == 200
        async with browser.get(f"{served.url}/browse/1/jobs/{job.id}/download") as answer:
            assert answer.status == 200
        stolen = cookie.split(";")[0]
        async with browser.post(f"{served.url}/logout", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        async with aiohttp.ClientSession(headers={"Cookie": stolen}) as thief:
            assert (await look(thief, served.url)).status == 303


async def test_behind_tls_the_cookie_is_for_tls_alone(two, browser):
    """A proxy says so."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        _, _, cookie, _ = await login(browser, served.url, TOKEN, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\u00e9\u540d", "\0", "x" * 9000])
async def test_a_wrong_token_begins_nothing(two, browser, token):
    """403 with the form again; the token is repeated nowhere."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        with capture_logs() as logs:
            status, _, cookie, text = await login(browser, served.url, token)
        assert (status, cookie) == (403, "")
        assert "This token opens nothing here." in text
        assert (await look(browser, served.url)).status == 303
        if len(token) > 8:
            assert token not in f"{text}{logs}"
        assert not [entry for entry in logs if entry["event"] == "http.crashed"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
    ],
)
async def test_a_form_of_another_site_is_refused(two, browser, headers):
    """Also with a good token: nobody is logged in, or out, by a foreign page."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        status, _, cookie, _ = await login(browser, served.url, TOKEN, **headers)
        assert (status, cookie) == (403, "")
        async with browser.post(f"{served.url}/logout", headers=headers) as answer:
            assert answer.status == 403
        status, *_ = await login(browser, served.url, TOKEN, Origin=served.url)
        assert status == 303


@pytest.mark.parametrize(
    "place",
    ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/\r\nX: y", "/\u540d", "/login", "/logout"],
)
async def test_a_login_leads_to_no_other_site(two, browser, place):
    """To the first page instead."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        _, headers, _, _ = await login(browser, served.url, TOKEN, place)
        assert headers["Location"] == "/"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 40, b"token"])
async def test_a_form_that_is_none_is_an_error_of_its_sender(two, browser, body):
    """And no crash."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served, browser.post(f"{served.url}/login", data=body) as answer:
        assert answer.status in {400, 403}


async def test_a_withdrawn_token_takes_its_sessions_along(two, browser):
    """Its file has another one now, or is gone."""
    daemon, _ = two
    now = [TOKEN]

    def current() -> str:
        if not now:
            raise CredentialRefused("token file /gone", "not there")
        return now[0]

    async with shown(daemon, Reader(token=current)) as served:
        await login(browser, served.url, TOKEN)
        assert (await look(browser, served.url)).status == 200
        now[0] = "another-token-0123456789"
        assert (await look(browser, served.url)).status == 303
        now.clear()
        assert (await look(browser, served.url)).status == 303


async def test_a_token_sees_its_projects_in_every_list_and_count(two, browser, world):
    """No page of it has another project's name, job or number; what it asks for by name is not there."""
    daemon, (hidden, open_) = two
    now = daemon.clock.now()
    for subject in ("acme/app", "acme/libs/core"):
        await daemon.state.note_trouble(Trouble(subject=subject, error="e", hint="", since=now))
    for job in (hidden, open_):
        queued = await daemon.transfer(job)
        await daemon.queue.lost(queued.id)
        await daemon.queue.revive()
    await daemon.sync()
    async with shown(daemon, scoped(), told(TOKEN)) as served:
        await login(browser, served.url, SCOPED)
        for path in (*PAGES, "/search?q=secret", "/search?q=name", f"/search?q={hidden.id}", "/search?q=app"):
            page = await look(browser, served.url + path)
            words = page.words + " ".join(page.links())
            assert "secret-name" not in words
            assert "acme/app" not in words.replace("acme/app,", "")
            assert "/browse/1" not in page.links()
            assert page.status == (404 if path.startswith("/browse/1") else 200)
        page = await look(browser, served.url)
        assert "open-name" in page.words
        assert "acme/libs/core cannot be looked at" in page.words
        assert "Lag by rule" not in page.words
        assert "Throughput" not in page.words
        assert "open-name" in (await look(browser, f"{served.url}/search?q=name")).words
        for path in (f"/browse/1/jobs/{hidden.id}", f"/browse/1/jobs/{hidden.id}/download"):
            assert (await look(browser, served.url + path)).status == 404
        async with browser.get(f"{served.url}/browse/2/jobs/{open_.id}/download") as answer:
            assert answer.status == 200
        before = len(world.requests)
        for project, job in (("acme/app", hidden), ("1", hidden), ("acme/unknown", hidden)):
            url = f"{world.url}/{project}/-/jobs/{job.id}" if "/" in project else None
            url = url or f"{world.url}/api/v4/projects/{project}/jobs/{job.id}"
            page = await look(browser, f"{served.url}/explain", params={"job": url})
            assert (page.status, "there is no such job" in page.words) == (404, True)
        assert len(world.requests) == before
        url = f"{world.url}/acme/libs/core/-/jobs/{open_.id}"
        page = await look(browser, f"{served.url}/explain", params={"job": url})
        assert (page.status, "takes it" in page.words) == (200, True)
    async with shown(daemon, scoped(), told(TOKEN)) as served:
        await login(browser, served.url, TOKEN)
        assert "secret-name" in (await look(browser, served.url)).words


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8700", "127.0.0.1.evil.example"])
async def test_without_tokens_only_names_of_this_machine_are_answered(two, http, host):
    """A page whose own name leads to loopback (DNS rebinding) is told nothing, events included."""
    daemon, _ = two
    async with shown(daemon) as served:
        for path in (*PAGES, "/events"):
            async with http.get(served.url + path, headers={"Host": host}) as answer:
                assert answer.status == 403
                assert "secret-name" not in await answer.text()
        assert (await look(http, f"{served.url}/login")).headers["Location"] == "/"


async def test_scripts_may_send_their_token_as_to_the_replica(two, http):
    """A header opens a page without a session, and beside one that has ended."""
    daemon, _ = two
    async with shown(daemon, told(TOKEN)) as served:
        for headers in ({"PRIVATE-TOKEN": TOKEN}, {"PRIVATE-TOKEN": TOKEN, "Cookie": "artifact_sync_session=x"}):
            assert (await look(http, served.url, headers=headers)).status == 200
        assert (await look(http, served.url, headers={"PRIVATE-TOKEN": "wrong"})).status == 303


def test_sessions_are_bounded_and_end():
    """The oldest goes for a new one; each ends in its time; names are not guessed from one another."""
    now = [0.0]
    sessions = Sessions(seconds=10, most=3, monotonic=lambda: now[0])
    names = [sessions.begin(b"t") for _ in range(4)]
    assert [sessions.token(name) for name in names] == [None, b"t", b"t", b"t"]
    assert len(set(names)) == 4
    assert all(len(name) >= 43 for name in names)
    sessions.end(names[1])
    assert sessions.token(names[1]) is None
    now[0] = 10.0
    assert sessions.token(names[3]) is None
    assert sessions.token("\udcff") is None


def test_one_token_ends_no_session_of_another():
    """However often it logs in; what has ended is forgotten with the next login of anybody."""
    now = [0.0]
    sessions = Sessions(seconds=10, most=5, monotonic=lambda: now[0])
    first = [sessions.begin(b"one") for _ in range(5)]
    others = [sessions.begin(b"other") for _ in range(100)]
    assert [sessions.token(name) for name in first] == [b"one"] * 5
    assert [sessions.token(name) for name in others[-6:]] == [None, *[b"other"] * 5]
    assert len(sessions) == 10
    now[0] = 10.0
    sessions.begin(b"third")
    assert len(sessions) == 1


async def test_another_site_may_link_here_and_embed_nothing(two, browser):
    """An image there would have any page made here, as often as it likes."""
    daemon, _ = two
    async with shown(daemon) as served:
        for mode, status in (("navigate", 200), ("no-cors", 403)):
            headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
            async with browser.get(f"{served.url}/browse", headers=headers) as answer:
                assert answer.status == status
