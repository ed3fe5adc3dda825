"""What a plain HTTP client sees of the simulator: paging, limits, deliveries, expiry."""

import base64
import json
from datetime import timedelta

import aiohttp
import pytest
from yarl import URL

from artifact_sync.simulator import TOKEN, Delivery, JobSpec, Limits, Quota, SimJob, SimToken, Throttle, big, small

KEYSET_REFUSED = {"error": "Keyset pagination is not yet available for this type of request"}
TOO_OFTEN = {"message": {"error": "This endpoint has been requested too many times. Try again later."}}


def archive(job: SimJob) -> bytes:
    assert job.spec.archive is not None
    assert job.spec.archive.content.data is not None
    return job.spec.archive.content.data


async def follow(http, url: str) -> URL:
    """Where an answer redirects to."""
    async with http.get(url, allow_redirects=False) as answer:
        assert answer.status == 302
        return URL(answer.headers["Location"], encoded=True)


# --- paging ---


@pytest.mark.parametrize("query", ["sort=asc", "order_by=created_at"])
async def test_keyset_for_jobs_is_descending_ids_alone(scene, running, http, query):
    """Any other order is 405 in GitLab's words."""
    async with http.get(scene.api(f"/projects/1/jobs?pagination=keyset&{query}")) as answer:
        assert (answer.status, await answer.json()) == (405, KEYSET_REFUSED)


async def test_a_cursor_is_base64_json_of_the_last_id(scene, running, http):
    """The Link carries ``cursor`` (not id_before), the project's id, and everything that was sent, tokens included."""
    url = scene.api(f"/projects/1/jobs?pagination=keyset&per_page=2&private_token={TOKEN}")
    async with http.get(url) as answer:
        last = (await answer.json())[-1]["id"]
        following = URL(str(answer.links["next"]["url"]))
        assert not {name for name in answer.headers if name.startswith(("X-Total", "X-Page", "X-Next-Page"))}
    state = json.loads(base64.urlsafe_b64decode(following.query["cursor"]))
    assert state == {"id": str(last), "_kd": "n"}
    assert (following.query["id"], following.query["private_token"]) == ("1", TOKEN)


async def test_the_last_keyset_page_has_no_link(scene, running, http):
    """Not even when it is exactly full."""
    builds = [job for job in scene.app.jobs if not job.spec.bridge]
    async with http.get(scene.api(f"/projects/1/jobs?pagination=keyset&per_page={len(builds)}")) as answer:
        assert len(await answer.json()) == len(builds)
        assert "Link" not in answer.headers


async def test_link_points_at_the_external_url(scene, running, http):
    """Host and port are those that the server is configured with, the scheme that of the request."""
    scene.world.external_url = "https://gitlab.example.com:8443"
    for path in ("/projects/1/jobs?pagination=keyset&per_page=1", "/projects/1/pipelines?per_page=1"):
        async with http.get(scene.api(path)) as answer:
            assert answer.headers["Link"].startswith("<http://gitlab.example.com:8443/api/v4/projects/1/")


async def test_jobs_by_offset_have_no_totals(scene, running, http):
    """X-Total, X-Total-Pages and rel="last" are left out for jobs, and there for pipelines."""
    async with http.get(scene.api("/projects/1/jobs?per_page=2")) as answer:
        assert (answer.headers["X-Next-Page"], answer.headers["X-Prev-Page"]) == ("2", "")
        assert not {"X-Total", "X-Total-Pages"} & set(answer.headers)
        assert set(answer.links) == {"next", "first"}
    async with http.get(scene.api("/projects/1/pipelines?per_page=1")) as answer:
        assert (answer.headers["X-Total"], answer.headers["X-Total-Pages"]) == ("2", "2")
        assert set(answer.links) == {"next", "first", "last"}


async def test_keyset_is_ignored_where_there_is_none(scene, running, http):
    """Pipelines and group projects answer by offset."""
    for path in ("/projects/1/pipelines", "/groups/acme/projects"):
        async with http.get(scene.api(f"{path}?pagination=keyset")) as answer:
            assert answer.headers["X-Page"] == "1"


async def test_the_maximum_offset_is_enforced_behind_its_flag(scene, running, http):
    """405 with the words that name the limit and the type; off by default for jobs."""
    url = scene.api("/projects/1/jobs?page=501&per_page=100")
    async with http.get(url) as answer:
        assert (answer.status, await answer.json()) == (200, [])
    scene.world.enforce_jobs_offset_limit = True
    async with http.get(url) as answer:
        error = (await answer.json())["error"]
        assert answer.status == 405
        assert error.startswith("Offset pagination has a maximum allowed offset of 50000")
        assert "Ci::Build" in error


@pytest.mark.parametrize(("given", "status"), [("0", 400), ("x", 400), ("1000", 200)])
async def test_per_page_is_checked_and_clamped(scene, running, http, given, status):
    """0 and nonsense are 400; more than 100 is 100."""
    async with http.get(scene.api(f"/projects/1/pipelines?per_page={given}")) as answer:
        assert answer.status == status
        assert status != 200 or answer.headers["X-Per-Page"] == "100"


async def test_json_can_be_asked_for_conditionally(scene, running, http):
    """A weak ETag, and 304 without a body for who has it."""
    async with http.get(scene.api("/projects/1")) as answer:
        tag = answer.headers["ETag"]
    async with http.get(scene.api("/projects/1"), headers={"If-None-Match": tag}) as answer:
        assert (tag[:2], answer.status, await answer.read()) == ("W/", 304, b"")


# --- limits ---


async def test_rack_attack_answers_in_text_with_headers(scene, running, http):
    """429, ``Retry later``, RateLimit-* normalised to a minute and Retry-After until the window ends."""
    scene.world.limits = Limits(throttle=Throttle(limit=1, period=600))
    async with http.get(scene.api("/projects/1")) as answer:
        assert (answer.status, "RateLimit-Limit" in answer.headers) == (200, False)
    async with http.get(scene.api("/projects/1")) as answer:
        assert (answer.status, answer.content_type, await answer.text()) == (429, "text/plain", "Retry later\n")
        assert {name: answer.headers[f"RateLimit-{name}"] for name in ("Limit", "Observed", "Remaining")} == {
            "Limit": "1",
            "Observed": "2",
            "Remaining": "0",
        }
        wait = int(answer.headers["Retry-After"])
        assert answer.headers["RateLimit-ResetTime"].endswith(" GMT")
    scene.clock.advance(wait)
    async with http.get(scene.api("/projects/1")) as answer:
        assert answer.status == 200


async def test_newer_servers_announce_the_quota(scene, running, http):
    """The common headers on an answer that was not throttled, without those of a 429."""
    scene.world.limits = Limits(throttle=Throttle(limit=10, announce=True))
    async with http.get(scene.api("/projects/1")) as answer:
        assert (answer.status, answer.headers["RateLimit-Remaining"]) == (200, "9")
        assert not {"Retry-After", "RateLimit-ResetTime"} & set(answer.headers)


async def test_the_application_limit_answers_in_json_without_headers(scene, running, http):
    """One quota per user over all projects, and nothing that says how long to wait."""
    scene.world.limits = Limits(jobs_index=Quota(limit=1))
    async with http.get(scene.api("/projects/1/jobs")) as answer:
        assert answer.status == 200
    async with http.get(scene.api("/projects/2/jobs")) as answer:
        assert (answer.status, await answer.json()) == (429, TOO_OFTEN)
        assert not {name for name in answer.headers if name.startswith(("RateLimit", "Retry"))}


# --- who may ---


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({}, 401, {"message": "401 Unauthorized"}),
        ({"PRIVATE-TOKEN": "glpat-old"}, 401, {"error": "invalid_token"}),
        ({"Authorization": "Bearer glpat-old"}, 401, {"error": "invalid_token"}),
        ({"PRIVATE-TOKEN": "glpat-narrow"}, 403, {"error": "insufficient_scope"}),
    ],
)
async def test_credentials_are_refused_in_gitlabs_words(scene, running, headers, status, body):
    """None, expired, and without the scope."""
    scene.world.add_token(SimToken(value="glpat-old", expires_at=scene.clock.now()))
    scene.world.add_token(SimToken(value="glpat-narrow", scopes=("read_repository",)))
    async with aiohttp.ClientSession(headers=headers) as session, session.get(scene.api("/projects/1/jobs")) as answer:
        found = await answer.json()
        assert answer.status == status
        assert body.items() <= found.items()


async def test_a_token_in_the_query_is_taken(scene, running):
    """private_token as a parameter, as old scripts have it."""
    url = scene.api(f"/projects/1/jobs?private_token={TOKEN}")
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200


async def test_a_project_may_be_seen_by_one_token_alone(scene, running, http):
    """To all others it is as if it were not there."""
    scene.app.visible = False
    scene.app.seen_by.add("glpat-member")
    scene.world.add_token(SimToken(value="glpat-member"))
    for headers, status in (({}, 404), ({"PRIVATE-TOKEN": "glpat-member"}, 200)):
        async with http.get(scene.job_url(scene.build, "/artifacts"), headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("access", "role", "status"), [("none", 40, 403), ("maintainer", 30, 403), ("developer", 30, 200)]
)
async def test_artifacts_have_an_access_level(scene, running, http, access, role, status):
    """``artifacts:access``; none is nobody."""
    scene.world.add_token(SimToken(value=TOKEN, role=role))
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("x", archive=small("x"), access=access)]).jobs[0]
    scene.world.finish(job)
    async with http.get(scene.job_url(job, "/artifacts")) as answer:
        assert answer.status == status


# --- delivery ---


async def test_the_etag_quotes_the_sha256(scene, running, http):
    """Strong, of the archive; for a single file of the archive's digest and the path; absent from older servers."""
    digest = scene.build.spec.archive.content.sha256
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert answer.headers["ETag"] == f'"{digest}"'
    async with http.get(scene.job_url(scene.build, "/artifacts/VERSION")) as answer:
        assert len(answer.headers["ETag"]) == 66
        assert answer.headers["ETag"] != f'"{digest}"'
    scene.world.etags = False
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status", "span"),
    [
        ({"Range": "bytes=10-19"}, 206, (10, 20)),
        ({"Range": "bytes=10-"}, 206, (10, None)),
        ({"Range": "bytes=-10"}, 206, (-10, None)),
        ({"Range": "bytes=10-19", "If-Range": "ETAG"}, 206, (10, 20)),
        ({"Range": "bytes=10-19", "If-Range": '"other"'}, 200, (0, None)),
        ({"Range": "bytes=999999-"}, 416, (0, 0)),
        ({"If-None-Match": "ETAG"}, 304, (0, 0)),
        ({"If-Match": '"other"'}, 412, (0, 0)),
    ],
)
async def test_local_delivery_honours_ranges_and_conditions(scene, running, http, headers, status, span):
    """As Go's http.ServeContent does."""
    whole = archive(scene.build)
    headers = {k: v.replace("ETAG", f'"{scene.build.spec.archive.content.sha256}"') for k, v in headers.items()}
    async with http.get(scene.job_url(scene.build, "/artifacts"), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (status, whole[slice(*span)])
        if status == 416:
            assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


@pytest.mark.parametrize("delivery", [Delivery.LOCAL, Delivery.PROXIED])
async def test_head_tells_and_sends_nothing(scene, running, http, delivery):
    """Content-Length on HEAD, where the way of delivery knows it."""
    scene.world.delivery, scene.world.proxied_length = delivery, True
    async with http.head(scene.job_url(scene.build, "/artifacts")) as answer:
        assert (answer.status, answer.content_length) == (200, len(archive(scene.build)))
        assert await answer.read() == b""


async def test_a_large_archive_comes_whole_and_in_part(scene, running, http):
    """From disk by sendfile, exactly as large as asked for."""
    content = big(9 << 20, seed="large")
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("large", archive=content)]).jobs[0]
    scene.world.finish(job)
    async with http.get(scene.job_url(job, "/artifacts")) as answer:
        whole = await answer.read()
    assert len(whole) == content.content.size == 9 << 20
    async with http.get(scene.job_url(job, "/artifacts"), headers={"Range": "bytes=9000000-"}) as answer:
        assert (answer.status, await answer.read()) == (206, whole[9_000_000:])


async def test_proxied_delivery_is_chunked(scene, running, http):
    """No Content-Length unless the store sends one, the store's ETag, and no Content-Disposition."""
    scene.world.delivery = Delivery.PROXIED
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert (answer.headers.get("Content-Length"), answer.headers["Transfer-Encoding"]) == (None, "chunked")
        assert scene.build.spec.archive.content.sha256 not in answer.headers["ETag"]
        assert "Content-Disposition" not in answer.headers
        assert await answer.read() == archive(scene.build)
    scene.world.proxied_length = True
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert answer.content_length == len(archive(scene.build))


async def test_a_redirect_leads_to_the_store(scene, running, http):
    """Another origin; no ETag of GitLab's, and a store that knows nothing of tokens."""
    scene.world.delivery = Delivery.REDIRECT
    url = await follow(http, scene.job_url(scene.build, "/artifacts"))
    assert url.origin() == URL(running.storage_url)
    async with aiohttp.ClientSession() as stranger, stranger.get(url, headers={"Range": "bytes=5-"}) as answer:
        assert (answer.status, await answer.read()) == (206, archive(scene.build)[5:])
    assert [seen.status for seen in scene.world.requests if seen.origin == "storage"] == [206]


async def test_a_signed_url_expires(scene, running, http):
    """After ten minutes the store answers 403 in XML, and GitLab gives a new one."""
    scene.world.delivery = Delivery.REDIRECT
    url = await follow(http, scene.job_url(scene.build, "/artifacts"))
    scene.clock.advance(timedelta(minutes=10))
    async with http.get(url) as answer:
        assert (answer.status, answer.content_type) == (403, "application/xml")
        assert "Request has expired" in await answer.text()
    async with http.get(await follow(http, scene.job_url(scene.build, "/artifacts"))) as answer:
        assert answer.status == 200


async def test_the_store_refuses_what_is_not_signed(scene, running, http):
    """A changed signature, HEAD on a GET-signed URL, and a second credential beside the signature."""
    scene.world.delivery = Delivery.REDIRECT
    url = await follow(http, scene.job_url(scene.build, "/artifacts"))
    async with http.get(URL(str(url)[:-4] + "0000", encoded=True)) as answer:
        assert (answer.status, "SignatureDoesNotMatch" in await answer.text()) == (403, True)
    async with http.head(url) as answer:
        assert answer.status == 403
    async with http.get(url, headers={"Authorization": "Bearer x"}) as answer:
        assert answer.status == 400
        assert "Only one auth mechanism allowed" in await answer.text()


async def test_a_single_file_has_no_ranges(scene, running, http):
    """200 and everything, with its length and a type by its name."""
    url = scene.job_url(scene.build, "/artifacts/reports/test%20log.txt")
    async with http.get(url, headers={"Range": "bytes=3-"}) as answer:
        body = await answer.read()
        assert (answer.status, answer.content_type, answer.content_length) == (200, "text/plain", len(body))


async def test_a_path_with_nul_is_a_bad_request(scene, running, http):
    """And dots are only a name that is not there."""
    url = URL(scene.job_url(scene.build, "/artifacts/a%00b"), encoded=True)
    async with http.get(url) as answer:
        assert (answer.status, await answer.json()) == (400, {"message": "400 Bad request"})


async def test_report_downloads_depend_on_the_version(scene, running, http):
    """An older server ignores file_type and sends the archive; a newer one sends the report, or 400."""
    url = scene.job_url(scene.build, "/artifacts?file_type=junit")
    async with http.get(url) as answer:
        assert await answer.read() == archive(scene.build)
    scene.world.report_downloads = True
    async with http.get(url) as answer:
        assert await answer.read() == scene.build.report("junit")
    for kind, status in {"trace": 400, "metadata": 400, "novel": 400, "sast": 404, "archive": 200}.items():
        async with http.get(scene.job_url(scene.build, f"/artifacts?file_type={kind}")) as answer:
            assert (kind, answer.status) == (kind, status)


async def test_a_server_may_ignore_ranges(scene, running, http):
    """Everything comes then, and Accept-Ranges says so."""
    scene.world.ranges = False
    async with http.get(scene.job_url(scene.build, "/artifacts"), headers={"Range": "bytes=1-2"}) as answer:
        assert (answer.status, answer.headers["Accept-Ranges"]) == (200, "none")
        assert await answer.read() == archive(scene.build)


async def test_tree_hides_a_file_of_its_name_since_it_exists(scene, running, http):
    """Before 18.8 ``artifacts/tree`` is an ordinary file."""
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("x", archive=small("x", {"tree": b"oak"}))]).jobs[0]
    scene.world.finish(job)
    async with http.get(scene.job_url(job, "/artifacts/tree")) as answer:
        assert answer.content_type == "application/json"
    scene.world.version = "18.7.0"
    async with http.get(scene.job_url(job, "/artifacts/tree")) as answer:
        assert await answer.read() == b"oak"


async def test_the_tree_lists_what_gitlab_lists(scene, running, http):
    """Directories with a slash and without a size, modes in six digits, no path that climbs; 404 where there is nothing."""
    files = {"a/b.txt": b"four", "../up": b"x", "a//c": b"x"}
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("x", archive=small("x", files))]).jobs[0]
    scene.world.finish(job)
    async with http.get(scene.job_url(job, "/artifacts/tree")) as answer:
        assert await answer.json() == [{"name": "a", "path": "a/", "type": "directory", "mode": "040755"}]
    async with http.get(scene.job_url(job, "/artifacts/tree?recursive=true")) as answer:
        expected = {"name": "b.txt", "path": "a/b.txt", "type": "file", "size": 4, "mode": "100644"}
        assert await answer.json() == [expected]
    async with http.get(scene.job_url(job, "/artifacts/tree?path=b")) as answer:
        assert answer.status == 404


async def test_trigger_jobs_came_with_19_2(scene, running, http):
    """404 before, and then the same as bridges."""
    url = scene.api(f"/projects/1/pipelines/{scene.main.id}/trigger_jobs")
    async with http.get(url) as answer:
        assert answer.status == 404
    scene.world.version = "19.2.0"
    async with http.get(url) as answer:
        assert [row["name"] for row in await answer.json()] == ["children"]


# --- expiry ---


async def test_the_sweep_deletes_what_expired(scene, running, http):
    """At the next seventh minute: artifacts shrink to the trace, and the date in the past stays."""
    scene.app.keep_latest = False
    scene.clock.advance(timedelta(hours=2))
    async with http.get(scene.job_url(scene.package)) as answer:
        found = await answer.json()
    assert [row["file_type"] for row in found["artifacts"]] == ["trace"]
    assert found["artifacts_expire_at"] == "2026-03-01T13:01:30.000Z"
    async with http.get(scene.job_url(scene.package, "/artifacts")) as answer:
        assert (answer.status, await answer.json()) == (404, {"message": "404 Not found"})


async def test_keep_latest_locks_the_newest_successful_pipeline(scene, running, http):
    """Expired and still there, single files too, while artifacts_file is gone and keep is refused."""
    scene.clock.advance(timedelta(hours=2))
    async with http.get(scene.job_url(scene.package)) as answer:
        found = await answer.json()
    assert "artifacts_file" not in found
    assert "archive" in [row["file_type"] for row in found["artifacts"]]
    for rest in ("/artifacts", "/artifacts/VERSION"):
        async with http.get(scene.job_url(scene.package, rest)) as answer:
            assert answer.status == 200
    async with http.post(scene.job_url(scene.package, "/artifacts/keep")) as answer:
        assert answer.status == 404


async def test_a_newer_success_unlocks_the_older(scene, running, http):
    """And the pipelines after the newest success are locked as well, child pipelines with their parents."""
    scene.clock.advance(timedelta(days=2))
    scene.world.sweep()
    assert scene.build.archive is not None
    assert scene.docs.archive is not None
    spec = JobSpec("build", archive=small("newer"), expire_in=timedelta(hours=1))
    newer = scene.world.finish(scene.world.add_pipeline(scene.app, "main", [spec]).jobs[0])
    failed = scene.world.add_pipeline(scene.app, "main", [spec, JobSpec("breaks")])
    scene.world.finish(failed.jobs[0])
    scene.world.finish(failed.jobs[1], "failed")
    scene.clock.advance(timedelta(days=2))
    async with http.get(scene.job_url(scene.docs)):
        pass
    assert [scene.build.archive, scene.docs.archive] == [None, None]
    assert newer.archive is not None
    assert failed.jobs[0].archive is not None


def test_a_child_pipeline_is_locked_with_its_parent(scene):
    """A child that is younger than the newest success goes all the same when its parent is older."""
    newer = scene.world.add_pipeline(scene.app, "main", [JobSpec("build")])
    spec = JobSpec("late", archive=small("late"), expire_in=timedelta(hours=1))
    late = scene.world.add_pipeline(scene.app, "main", [spec], parent=scene.main)
    assert late.id > newer.id
    scene.world.finish(late.jobs[0])
    scene.clock.advance(timedelta(hours=2))
    assert late.jobs[0] not in scene.world.sweep()
    scene.world.finish(newer.jobs[0])
    assert late.jobs[0] in scene.world.sweep()


async def test_single_files_go_before_the_archive(scene, running, http):
    """Expired, unlocked, not swept yet: the archive still downloads, a file in it does not."""
    scene.app.keep_latest = False
    scene.world.sweeper.every = timedelta(days=9999)
    scene.clock.advance(timedelta(hours=2))
    for rest, status in (("/artifacts", 200), ("/artifacts/VERSION", 404)):
        async with http.get(scene.job_url(scene.package, rest)) as answer:
            assert answer.status == status


async def test_the_date_header_is_the_worlds_time(scene, running, http):
    """A client that measures the server's clock sees the one that expiries are measured with."""
    async with http.get(scene.api("/projects/1")) as answer:
        assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:06:30 GMT"


async def test_ci_that_is_disabled_for_the_caller(scene, running, http):
    """403 for jobs, but an empty list for a pipeline's jobs."""
    scene.app.builds_enabled = False
    async with http.get(scene.api("/projects/1/jobs")) as answer:
        assert (answer.status, await answer.json()) == (403, {"message": "403 Forbidden"})
    async with http.get(scene.api(f"/projects/1/pipelines/{scene.main.id}/jobs")) as answer:
        assert (answer.status, await answer.json()) == (200, [])


async def test_a_job_that_failed_says_why(scene, running, http):
    """The key is there for failed jobs alone, and nothing tells that a job was retried."""
    rows = {}
    async with http.get(scene.api("/projects/1/jobs?per_page=100")) as answer:
        rows = {row["id"]: row for row in await answer.json()}
    assert rows[scene.flaky.id]["failure_reason"] == "script_failure"
    assert "failure_reason" not in rows[scene.build.id]
    assert not any("retried" in row for row in rows.values())
    assert scene.docs.id in rows
