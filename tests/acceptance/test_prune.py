"""`artifact-sync prune` and `keeps pin` as processes: shown first, done as shown, and undone."""

import json
import signal
from functools import partial

import pytest
from anyio import to_thread

from artifact_sync.simulator import SimJob
from tests.acceptance.harness import checksums_hold, on_a_terminal, started, wait_for
from tests.acceptance.living import HOUR, Place, place

DAY = 24 * HOUR
LAST_TWO = "retain: {last: 2}"


@pytest.fixture
async def scene(tmp_path):
    """Six builds, of which the rule keeps two; a pass does not prune so many at once."""
    async with place(tmp_path, rule=LAST_TWO) as made:
        for days in range(6, 0, -1):
            made.build("build", ago=days * DAY)
        ran = await made.run("sync", "--strict")
        assert ran.code == 0
        assert "unpruned  4 of 6 publications would go, more than 1 at once" in ran.out
        yield made


def jobs(scene: Place) -> list[SimJob]:
    """Newest first."""
    return sorted(scene.world.jobs.values(), key=lambda job: job.id, reverse=True)


async def lines(scene: Place, *words: str) -> list[dict[str, object]]:
    """A command's JSON lines."""
    ran = await scene.run(*words, "--json")
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


async def test_a_dry_run_is_what_prune_does(scene: Place):
    """Per group what stays and goes, why and how large, with the sums; then exactly that goes."""
    ran = await scene.run("prune", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "acme/app main build"
    newest, *_, oldest = jobs(scene)
    assert f"  stays  #{newest.id}  " in ran.out
    assert "last 1 of 2  ->" in ran.out
    assert f"  goes   #{oldest.id}  " in ran.out
    assert "not among last 2  -> acme/app/main/build/" in ran.out
    assert "4 of 6 publications would go (" in ran.out
    assert "`artifact-sync prune --yes` does it all the same." in ran.out
    assert ran.out.endswith("Nothing was changed.\n")
    assert len(scene.mirrored) == 6
    *groups, summary = await lines(scene, "prune", "--dry-run")
    (group,) = groups
    publications = group["publications"]
    assert isinstance(publications, list)
    stay = {each["job_id"] for each in publications if each["stays"]}
    assert (summary["removed"], summary["most"], summary["allowed"]) == (4, 1, False)
    *_, done = await lines(scene, "prune", "--yes")
    assert (done["pruned"], done["pruned_bytes"]) == (4, summary["removed_bytes"])
    assert scene.mirrored == stay == {job.id for job in jobs(scene)[:2]}
    assert checksums_hold(scene.folder / "mirror" / "tree") == 2


async def test_too_much_needs_a_yes(scene: Place):
    """Without anybody to ask: 1, with what to add, and nothing is pruned."""
    for words in (("prune",), ("prune", "--json")):
        ran = await scene.run(*words)
        assert ran.code == 1
        assert "4 of 6 publications would go. That is more than 1 at once (retention.max_delete 10% of 6)" in ran.err
        assert "--yes" in ran.err
    assert len(scene.mirrored) == 6


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 6), ("y", 0, 2)])
async def test_a_person_is_asked(scene: Place, answer: str, code: int, left: int):
    """On a terminal the sums are shown, and a yes prunes."""
    ended, out = await to_thread.run_sync(
        partial(on_a_terminal, "prune", cwd=scene.folder, answers=f"{answer}\n"),
    )
    assert ended == code
    assert out.index("4 of 6 publications would go") < out.index("Prune them?")
    assert len(scene.mirrored) == left


async def test_what_is_allowed_is_not_asked(tmp_path):
    """One of a few goes with the pass that brings another."""
    async with place(tmp_path, rule=LAST_TWO) as made:
        for days in (3, 2):
            made.build("build", ago=days * DAY)
        await made.run("sync", "--strict")
        (new,) = made.build("build")
        ran = await made.run("sync", "--strict")
        assert ran.code == 0
        assert "pruned    acme/app main build #" in ran.out
        assert new.id in made.mirrored
        assert len(made.mirrored) == 2
        ran = await made.run("prune")
        assert (ran.code, ran.out) == (0, "Pruned 0 publications (0 B).\n")


async def test_undo(scene: Place):
    """All of it, or what is named; what cannot be found is said; GitLab is not asked for any of it again."""
    await scene.run("prune", "--yes")
    third, *rest = jobs(scene)[2:]
    ran = await scene.run("prune", "--undo", "--dry-run")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 4
    assert f"restore  acme/app main build #{third.id}: " in ran.out
    ran = await scene.run("prune", "--undo", f"#{third.id}")
    assert ran.code == 0
    assert "Restored 1 publication (" in ran.out
    assert "artifact-sync keeps pin" in ran.out
    assert third.id in scene.mirrored
    ran = await scene.run("prune", "--undo", "acme/other")
    assert (ran.code, ran.out) == (1, "Nothing of acme/other is in the trash.\n")
    *_, done = await lines(scene, "prune", "--undo", "acme/app/main")
    assert done["restored"] == len(rest)
    assert scene.mirrored == {job.id for job in jobs(scene)}
    assert checksums_hold(scene.folder / "mirror" / "tree") == 6
    assert len(scene.asked("GET", "/artifacts")) == 6


async def test_pins(scene: Place):
    """They hold against a prune, are shown, and are taken back; both work beside a daemon, and need no GitLab."""
    *_, second, oldest = jobs(scene)
    with started("run", cwd=scene.folder) as daemon:
        await to_thread.run_sync(wait_for, daemon, "project.found")
        ran = await scene.run("keeps", "pin", "acme/app", str(oldest.id), "--reason", "shipped to a customer")
        assert (ran.code, ran.err) == (0, "")
        assert (await scene.run("keeps", "pin", "1", str(second.id))).code == 0
        ran = await scene.run("keeps", "unpin", f"{scene.world.url}/acme/app/-/jobs/{second.id}")
        assert (ran.code, ran.out) == (0, f"Not pinned any more: acme/app #{second.id}.\n")
        daemon.send_signal(signal.SIGTERM)
        await to_thread.run_sync(daemon.communicate)
    ran = await scene.run("keeps")
    assert f"pinned       acme/app #{oldest.id}  shipped to a customer" in ran.out
    pins = json.loads((await scene.run("keeps", "--json")).out)["pins"]
    assert [(pin["job_id"], pin["reason"]) for pin in pins] == [(oldest.id, "shipped to a customer")]
    explained = await scene.run("explain", "acme/app", str(oldest.id))
    assert "  retain: stays: pinned\n" in explained.out
    assert ": shipped to a customer\n" in explained.out
    await scene.run("prune", "--yes")
    assert scene.mirrored == {job.id for job in jobs(scene)[:2]} | {oldest.id}
    ran = await scene.run("keeps", "unpin", "acme/app", str(second.id))
    assert ran.code == 2
    assert "is not pinned" in ran.err
    ran = await scene.run("keeps", "pin", "acme/app", str(second.id))
    assert ran.code == 2
    assert "prune --undo" in ran.err
    ran = await scene.run("keeps", "pin", "acme/app", "999999")
    assert ran.code == 5
    assert "nothing of acme/app #999999 is mirrored" in ran.err


async def test_explain_says_why_it_stays_and_when_it_goes(tmp_path):
    """Of each of three: kept by number, until a day, and gone since."""
    async with place(tmp_path, rule="retain: {last: 1, max_age: 4d}", more="retention: {max_delete: 100%}\n") as made:
        builds = [made.build("build", ago=days * DAY)[0] for days in (5, 3, 1)]
        await made.run("sync", "--strict")
        told = [(await made.run("explain", "acme/app", str(job.id))).out for job in builds]
        assert "not among last 1; older than 4d; in the trash (`artifact-sync prune --undo`)" in told[0]
        assert "  retain: stays: younger than 4d, until 20" in told[1]
        assert "  retain: stays: last 1 of 1, younger than 4d\n" in told[2]
        facts = json.loads((await made.run("explain", "acme/app", str(builds[2].id), "--json")).out)
        assert facts["retention"][0]["reasons"] == ["last 1 of 1", "younger than 4d"]
        assert facts["pin"] is None
        (told_now,) = [line for line in (await made.run("status")).out.splitlines() if line.startswith("retention:")]
        assert "1 of 3 publications to go, 1 in the trash (" in told_now


async def test_plan_names_what_a_pass_would_prune(scene: Place):
    """With the reason; what was pruned it does not want to fetch again."""
    ran = await scene.run("plan")
    assert ran.code == 0
    pruned = [line for line in ran.out.splitlines() if line.startswith("prune  acme/app main build #")]
    assert len(pruned) == 4
    assert all(line.endswith("not among last 2) -> trash") for line in pruned)
    await scene.run("prune", "--yes")
    *_, summary = await lines(scene, "plan")
    assert (summary["fetch"], summary["mirrored"]) == (0, 6)
    prune = summary["prune"]
    assert isinstance(prune, dict)
    assert prune["removed"] == 0


async def test_plan_foretells_what_would_go_again(tmp_path):
    """Of what it would fetch, too: with the reason, in the line and for programs; the pass then does exactly that."""
    async with place(tmp_path, rule=LAST_TWO, more="retention: {max_delete: 100%}\n") as made:
        builds = [made.build("build", ago=days * DAY)[0] for days in (5, 4, 3, 2)]
        gone = {job.id for job in builds[:2]}
        ran = await made.run("plan")
        *planned, summary = await lines(made, "plan")
        assert {each["job_id"]: each["pruned_again"] for each in planned} == {
            job.id: ["not among last 2"] if job.id in gone else [] for job in builds
        }
        sizes = {each["job_id"]: each["size"] for each in planned}
        in_vain = sum(int(str(sizes[number])) for number in gone)
        assert (summary["fetch"], summary["pruned_again"]) == (4, {"fetch": 2, "size": in_vain})
        told = [line for line in ran.out.splitlines() if line.startswith("fetch  ")]
        assert len(told) == 4
        for line in told:
            again = line.endswith("; the next look prunes it again: not among last 2")
            assert again == any(f"#{number} " in line for number in gone), line
        assert "2 jobs of them (" in ran.out
        assert not any(line.startswith("prune  ") for line in ran.out.splitlines())
        assert (await made.run("sync", "--strict")).code == 0
        assert made.mirrored == {job.id for job in builds[2:]}
        # What is published goes for what comes.
        (new,) = made.build("build", ago=DAY)
        by_event = {each["event"]: each for each in await lines(made, "plan")}
        assert (by_event["planned"]["job_id"], by_event["planned"]["pruned_again"]) == (new.id, [])
        assert by_event["prune"]["job_id"] == builds[2].id
        assert (await made.run("sync", "--strict")).code == 0
        assert made.mirrored == {builds[3].id, new.id}


async def test_plan_knows_what_a_link_would_hold(tmp_path):
    """What is too old stays where `latest` will point at it, and is fetched for nothing where that is at a newer one."""
    rule = "retain: {max_age: 36h}, publish: {latest: '{project}/{job}/latest'}"
    async with place(tmp_path, rule=rule, more="retention: {max_delete: 100%}\n") as made:
        older, newer = (made.build("build", ago=days * DAY)[0] for days in (6, 5))
        (alone,) = made.build("docs", ago=9 * DAY)
        *planned, _ = await lines(made, "plan")
        again = {each["job_id"]: each["pruned_again"] for each in planned}
        assert again == {older.id: ["older than 36h"], newer.id: [], alone.id: []}
        assert (await made.run("sync", "--strict")).code == 0
        assert made.mirrored == {newer.id, alone.id}
        (late,) = made.build("build", ago=5.5 * DAY)
        (planned_late,) = [each for each in await lines(made, "plan") if each["event"] == "planned"]
        assert (planned_late["job_id"], planned_late["pruned_again"]) == (late.id, ["older than 36h"])
        assert (await made.run("sync", "--strict")).code == 0
        assert made.mirrored == {newer.id, alone.id}


async def test_orphans(tmp_path):
    """A rule was narrowed: what it took before is shown by prune, plan and status, and goes with --orphans alone."""
    async with place(tmp_path) as made:
        made.build("build", "docs", ago=DAY)
        await made.run("sync", "--strict")
        path = tmp_path / "artifact-sync.yaml"
        path.write_text(path.read_text().replace("[acme/app]}", "[acme/app], when: {jobs: [build]}}"))
        await made.run("sync", "--strict")
        assert len(made.mirrored) == 2
        for words in (("prune", "--dry-run"), ("plan",), ("status",)):
            assert "1 orphan (" in (await made.run(*words)).out, words
        assert "orphan: no present rule selects it" in (await made.run("prune", "--dry-run")).out
        ran = await made.run("prune", "--orphans")
        assert "Pruned 1 publication (" in ran.out
        assert {job.name for job in made.world.jobs.values() if job.id in made.mirrored} == {"build"}


async def test_beside_the_daemon(scene: Place):
    """The daemon does it, and says so in its log; status tells the trouble until then."""
    with started("run", cwd=scene.folder) as daemon:
        await to_thread.run_sync(wait_for, daemon, "project.found")
        ran = await scene.run("prune", "--yes")
        assert (ran.code, ran.err) == (0, "")
        assert "does it within a minute" in ran.out
        assert "Pruned 4 publications (" in ran.out
        assert len(scene.mirrored) == 2
        *_, done = await lines(scene, "prune", "--undo")
        assert done["restored"] == 4
        daemon.send_signal(signal.SIGTERM)
        log, _ = await to_thread.run_sync(daemon.communicate)
    assert log.count('"event": "publication.pruned"') == 4
    assert log.count('"event": "publication.restored"') == 4
    assert len(scene.mirrored) == 6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prune", "acme/app"), "cannot be pruned by itself"),
        (("prune", "--undo", "--orphans"), "exclude each other"),
        (("keeps", "pin", "17"), "does not say in which project"),
    ],
)
async def test_usage(tmp_path, words, told):
    """2, and nothing is made."""
    async with place(tmp_path) as made:
        ran = await made.run(*words)
    assert ran.code == 2
    assert told in ran.err
    assert not (tmp_path / "mirror").exists()


async def test_before_anything_is_mirrored(tmp_path):
    """There is nothing to prune, and nothing is made by looking."""
    async with place(tmp_path, rule=LAST_TWO) as made:
        ran = await made.run("prune", "--dry-run")
        undo = await made.run("prune", "--undo")
    assert (ran.code, undo.code) == (0, 0)
    assert "0 of 0 publications would go" in ran.out
    assert undo.out == "Nothing is in the trash.\n"
    assert not (tmp_path / "artifact-sync.db").exists()
