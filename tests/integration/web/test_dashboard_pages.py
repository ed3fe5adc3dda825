"""The dashboard's pages over real HTTP: what each shows, of nothing, of a world, of a large state, of hostile names."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from artifact_sync.core.events import TransferEnded
from artifact_sync.core.model import Item, Job, Pipeline, Transfer
from artifact_sync.core.rules import Fetch
from artifact_sync.errors import Outcome
from artifact_sync.ports import Trouble
from artifact_sync.simulator.faults import Answer, Fault
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.dashboard_harness import Page, Shown, look, shown
from tests.integration.web.web_harness import FILES, archive_of, ended
from tests.unit.state.test_state_catalogue import publish

CSP = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}
#: Markup, a mark that turns the writing, a quote, and something that a template could take for its own.
HOSTILE = "<script>alert(1)</script>\u202etxt.exe\u200f\"'&{{7*7}}"


@dataclass
class Looks:
    """Looks at pages."""

    served: Shown
    http: aiohttp.ClientSession

    async def __call__(self, path: str, **options: Any) -> Page:
        """One of them."""
        return await look(self.http, self.served.url + path, **options)


@pytest.fixture
async def page_of(mirror, http):
    """Looks at a page of the mirrored job's dashboard."""
    async with shown(mirror) as served:
        yield Looks(served, http)


async def test_every_page_of_an_empty_store_is_a_page(world, tmp_path, http):
    """200, and words instead of lists; what is not there is 404 with the way back."""
    async with rig(world, tmp_path, rule()) as daemon, shown(daemon) as served:
        for path, words in (
            ("/", "Nothing is published yet."),
            ("/browse", "Nothing is mirrored yet."),
            ("/search", "Write a part"),
            ("/search?q=x", "Nothing is called x."),
            ("/explain", "Every rule answers"),
        ):
            page = await look(http, served.url + path)
            assert page.status == 200
            assert words in page.words
        for path in (
            "/browse/1",
            "/browse/1/jobs",
            "/browse/1/jobs/2",
            "/browse/1/jobs/2/download",
            "/browse/9" + "9" * 30,
        ):
            page = await look(http, served.url + path)
            assert page.status == 404
            assert "/" in page.links()


async def test_pages_ask_nobody_else_and_run_nothing_else(page_of):
    """The policy stands on every page, errors included; every address in it is of this server; no inline style or script."""
    for path in ("/", "/browse", "/browse/1", "/browse/1/jobs", "/explain", "/search?q=build", "/browse/77"):
        page = await page_of(path)
        assert set(page.headers["Content-Security-Policy"].split("; ")) == CSP
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        for tag, of in page.tags:
            assert not any(name.startswith("on") or name == "style" for name in of), (tag, of)
            assert tag != "style"
            if tag in {"script", "link", "img"}:
                assert (of.get("src") or of["href"]).startswith("/static/")


async def test_static_files_may_be_kept_for_ever_under_their_hash(page_of, http):
    """Immutable; another hash, and any other file, is 404."""
    page = await page_of("/")
    found = [of.get("src") or of.get("href") for tag, of in page.tags if tag in {"script", "link"}]
    assert len(found) == 3
    for place in found:
        async with http.get(page_of.served.url + place) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert len(await answer.read()) < 10_000
        other = re.sub(r"\.[0-9a-f]{16}\.", ".0000000000000000.", place)
        assert (await page_of(other)).status == 404
    for place in ("/static/", "/static/../part.py", "/static/%2e%2e%2fpart.py", "/static/style.css"):
        async with http.get(URL(page_of.served.url + place, encoded=True)) as answer:
            assert answer.status == 404


async def test_the_first_page_tells_what_there_is(page_of, job):
    """The publication, the figures, a plot with its words, and times that a machine can read."""
    page = await page_of("/")
    assert page.status == 200
    assert f"build #{job.id}" in page.words
    assert f"/browse/1/jobs/{job.id}" in page.links()
    assert "Throughput, 2 hours: nothing measured yet." in page.words
    plots = [of for tag, of in page.tags if tag == "svg"]
    assert len(plots) == 6
    assert all(of["role"] == "img" and f'id="{of["aria-labelledby"]}"' in page.text for of in plots)
    times = [of["datetime"] for tag, of in page.tags if tag == "time"]
    assert times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one) for one in times)


async def test_the_first_page_tells_what_failed_and_what_to_do(world, app, tmp_path, http):
    """With the hint as it was heard, or else with a cure; troubles with their own."""
    failing, other = (ended(world, app, name)[0] for name in ("a", "b"))
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        for job, outcome in ((failing, Outcome.CORRUPT), (other, Outcome.TOO_LARGE)):
            queued = await daemon.transfer(job)
            await daemon.queue.lost(queued.id)
            claimed = await daemon.queue.claim(daemon.clock.now())
            assert claimed is not None
            await daemon.queue.fail(claimed.id, outcome, "a CRC is wrong", retry_at=None)
        trouble = Trouble(subject="acme/gone", error="404 <b>", hint="Take it out.", since=daemon.clock.now())
        await daemon.state.note_trouble(trouble)
        async with shown(daemon) as served:
            queued = await daemon.transfer(failing)
            ended_event = TransferEnded(
                transfer_id=queued.id,
                project="acme/app",
                job_id=failing.id,
                job="a",
                ref="main",
                dest="d",
                outcome=Outcome.CORRUPT,
                hint="Upload it again.",
            )
            served.live.hear(ended_event)
            page = await look(http, served.url)
    assert "corrupt: a CRC is wrong Upload it again." in page.words
    assert "Raise fetch.max_size" in page.words
    assert "acme/gone cannot be looked at since" in page.words
    assert "404 <b>" in page.words
    assert "Take it out." in page.words


async def test_one_finds_the_way_from_a_project_down_to_a_file_in_an_archive(page_of, job, http):
    """By links alone; the bytes are those of GitLab, and they are saved and run nowhere."""
    at = "/browse"
    for wanted in ("/browse/1", "/browse/1/jobs?ref=main", f"/browse/1/jobs/{job.id}"):
        page = await page_of(at)
        assert wanted in page.links()
        at = wanted
    page = await page_of(at)
    assert {"artifacts.zip", "job.log", "report.html", "deep/"} <= set(page.words.split())
    inside = next(link for link in page.links() if "path=deep" in link)
    assert "er/" in (await page_of(inside.partition("#")[0])).words
    downloads = [link for link in page.links() if "/download" in link]
    assert any("of=report&path=junit" in link for link in downloads)
    for link in downloads:
        async with http.get(page_of.served.url + link) as answer:
            body = await answer.read()
            assert answer.status == 200
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if link.endswith("of=archive"):
            assert body == archive_of(job)
        if "path=report.html" in link:
            assert body == FILES["report.html"]


async def test_files_in_an_archive_are_found_by_a_part_of_their_name(page_of, job):
    """At any depth, whatever the case; what is not there is said to be not there."""
    found = await page_of(f"/browse/1/jobs/{job.id}?find=NOTES")
    assert "1 file with NOTES" in found.words
    assert "notes.txt" in found.words
    assert "app.bin" not in found.words
    assert "Nothing is here." in (await page_of(f"/browse/1/jobs/{job.id}?find=nothing-like-it")).words
    assert (await page_of(f"/browse/1/jobs/{job.id}?path=no/such")).status == 404


@pytest.mark.parametrize(
    "asked", ["of=archive", "of=file&path=notes.txt", "of=file", "of=metadata", "of=report&path=sast"]
)
async def test_downloads_of_nothing_are_404(page_of, asked, job):
    """Another job's, another kind, no path."""
    status = (await page_of(f"/browse/1/jobs/{job.id + 1}/download?{asked}")).status
    assert status == 404
    if asked in {"of=file", "of=metadata", "of=report&path=sast"}:
        assert (await page_of(f"/browse/1/jobs/{job.id}/download?{asked}")).status == 404


@pytest.mark.parametrize("asked", ["build", "acme", "ACME/app main", "{number}", "#{number}", "app build"])
async def test_search_finds_by_project_ref_name_and_number(page_of, job, asked):
    """All words have to be found; case does not matter."""
    page = await page_of("/search", params={"q": asked.format(number=job.id)})
    assert f"/browse/1/jobs/{job.id}" in page.links()


@pytest.mark.parametrize(
    "asked", ["no-such-thing", "build no-such", "999999999999999999999999", "%", "_", "'", HOSTILE]
)
async def test_search_finds_nothing_else(page_of, asked):
    """No pattern of SQL's, no number too large to be one."""
    page = await page_of("/search", params={"q": asked})
    assert page.status == 200
    assert not page.links("/browse/1")


async def test_explain_shows_every_rule_with_its_conditions(page_of, job, world):
    """Which hold and which fail, and what is mirrored."""
    url = f"{world.url}/acme/app/-/jobs/{job.id}"
    page = await page_of("/explain", params={"job": url})
    assert page.status == 200
    assert "Rule r takes it" in page.words
    assert "status yes success" in page.words
    assert f"/browse/1/jobs/{job.id}" in page.links()


async def test_explain_says_what_failed(world, app, tmp_path, http):
    """A job that no rule takes."""
    job = ended(world, app, "build")[0]
    async with rig(world, tmp_path, rule(jobs=["package*"])) as daemon, shown(daemon) as served:
        page = await look(http, f"{served.url}/explain", params={"job": f"{world.url}/acme/app/-/jobs/{job.id}"})
    assert "Rule r leaves it" in page.words
    assert "job NO package* build" in page.words
    assert "nothing of this job is here" in page.words


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ("https://elsewhere.example/a/b/-/jobs/1", 400, "is not on"),
        ("{url}/acme/app", 400, "not the URL of a job"),
        ("nonsense", 400, "is not on"),
        ("javascript:alert(1)", 400, "is not on"),
        ("{url}/acme/app/-/jobs/99999", 404, "there is no such job"),
        ("{url}/no/such/-/jobs/1", 404, "there is no such job"),
        ("{url}/acme/app/-/jobs/" + "9" * 40, 400, "there is no such job"),
        ("{url}/" + HOSTILE + "/-/jobs/1", 404, "there is no such job"),
    ],
)
async def test_explain_of_a_bad_address_says_what_is_wrong(page_of, world, asked, status, words):
    """And what to write instead."""
    page = await page_of("/explain", params={"job": asked.replace("{url}", world.url)})
    assert page.status == status
    assert words in page.words
    assert "Copy the address of the job's page" in page.words
    assert "script" not in [tag for tag, of in page.tags if not of.get("src", "").startswith("/static/")]


async def test_a_foreign_page_cannot_have_gitlab_asked(page_of, world, job):
    """A link or an image on another site costs no request."""
    url = f"{world.url}/acme/app/-/jobs/{job.id}"
    before = len(world.requests)
    for site in ("cross-site", "same-site"):
        page = await page_of("/explain", params={"job": url}, headers={"Sec-Fetch-Site": site})
        assert "Press the button" in page.words
    assert len(world.requests) == before


async def test_gitlab_away_is_an_answer(page_of, world, job):
    """502 with the reason."""
    url = f"{world.url}/acme/app/-/jobs/{job.id}"
    away = Answer(status=HTTPStatus.SERVICE_UNAVAILABLE, body="away")
    world.faults.add(Fault(path="/projects/", method="GET", times=None, action=away))
    page = await page_of("/explain", params={"job": url})
    assert page.status in {502, 504}


async def test_hostile_names_are_text_and_nothing_else(world, tmp_path, http):
    """Of jobs, refs and files, on every page: no tag of theirs, no mark that turns the writing, no template."""
    project = world.add_project("acme/app")
    job = ended(world, project, HOSTILE, ref=HOSTILE, files={f"dir{HOSTILE}/x{HOSTILE}".replace("</", "< "): b"x"})[0]
    async with rig(world, tmp_path, rule(fetch=Fetch())) as daemon:
        assert (await daemon.sync()).complete
        await daemon.state.note_trouble(Trouble(subject=HOSTILE, error=HOSTILE, hint=HOSTILE, since=daemon.clock.now()))
        async with shown(daemon) as served:
            seen, todo = set(), ["/", f"/search?q=acme&x={job.id}"]
            texts = 0
            while todo:
                path = todo.pop()
                if path in seen or "/download" in path:
                    continue
                seen.add(path)
                page = await look(http, URL(served.url + path.partition("#")[0], encoded=True))
                assert page.status == 200, path
                assert "\u202e" not in page.text
                assert "\u200f" not in page.text
                assert page.text.count("<script") == 1
                assert "49" not in page.words.replace(str(job.id), "") or "{{7*7}}" in page.words
                texts += "\\u202e" in page.words
                todo += [link for link in page.links() if link.startswith(("/browse", "/explain"))]
            page = await look(http, f"{served.url}/browse/1/jobs/{job.id}")
            inside = [link for link in page.links() if "path=dir" in link]
            page = await look(http, URL(served.url + inside[0].partition("#")[0], encoded=True))
            (file,) = [link for link in page.links() if "of=file" in link]
            async with http.get(URL(served.url + file, encoded=True)) as answer:
                assert (answer.status, await answer.read()) == (200, b"x")
    assert texts > 4
    assert len(seen) > 6


async def test_ten_thousand_transfers_are_one_page(world, tmp_path, http):
    """Lists are cut, and pages lead on to the rest."""
    async with rig(world, tmp_path, rule()) as daemon:
        await publish(daemon.state, *(wanted(number) for number in range(1, 251)))
        expiry = daemon.clock.now()
        waiting = [
            msgspec.structs.replace(wanted(number), deadline=expiry.replace(year=expiry.year + 1))
            for number in range(251, 10_001)
        ]
        await daemon.state.want(waiting, now=daemon.clock.now())
        async with shown(daemon) as served:
            page = await look(http, served.url)
            assert page.status == 200
            assert "waiting 9,750" in page.words
            assert len(page.text) < 60_000
            page = await look(http, f"{served.url}/browse/1")
            assert len([link for link in page.links() if "ref=" in link]) == 100
            more = next(link for link in page.links() if "after=" in link)
            assert "r00200" in (await look(http, served.url + more)).words
            page = await look(http, f"{served.url}/browse/1/jobs")
            older = next(link for link in page.links() if "before=" in link)
            assert f"#{150}" in (await look(http, served.url + older)).words
            page = await look(http, f"{served.url}/search?q=job")
            assert len(page.links("/browse/1/jobs/")) <= 50
            assert "These are the newest ones." in page.words


def wanted(number: int) -> Transfer:
    """One of many, each on a ref of its own."""
    return Transfer(
        project_id=1,
        project_path="acme/app",
        job=Job(id=number, name="job", status="success", ref=f"r{number:05}", pipeline=Pipeline(id=number)),
        rules=("r",),
        items=(Item(kind="archive", name="artifacts.zip", size=10),),
        dest=f"acme/app/r{number}/job/{number}",
    )


async def test_head_is_answered(page_of):
    """As GET, without a body."""
    async with aiohttp.ClientSession() as session, session.head(page_of.served.url) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
