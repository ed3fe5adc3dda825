"""T3, T4: the power is cut at a changing call. What had reached the block device by then is mounted and looked at.

The cut is a copy of the image, taken after a SIGKILL and before anything is unmounted. It does not reorder writes and tears
no sector. The state lies in the store's filesystem, where SQLite's own fsyncs carry the store's directories with them
through the shared journal, or in one of its own, where a missing fsync of a directory shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.crash.daemon_process import Fault, Outcome, Place
from tests.crash.mounts import copied, ext4_image, mounted
from tests.crash.scene import Scene, configure
from tests.crash.sweeps import Found, at_once, spread

__all__ = ["cuts"]

_SIZE = 48 << 20


def cuts(scene: Scene, *, split: bool, most: int | None = None, enough: int | None = None) -> Found:
    """Cut the power at about ``most`` calls, evenly; ``split``: the state lies on another filesystem."""
    found = Found()
    names = ("store", "state") if split else ("store",)
    shutil.rmtree(scene.folder, ignore_errors=True)
    scene.folder.mkdir(parents=True)
    empty = {name: ext4_image(scene.folder / f"{name}.empty", size=_SIZE) for name in names}
    with _there(scene, empty, "count") as place:
        ran = scene.sync(place)
        assert ran.code == 0, ran.err
        count = ran.count
    for number, at in enumerate(spread(count, most)):
        transfers = at_once(number)
        with _there(scene, empty, f"before-{at}", transfers=transfers) as place:
            ran = scene.sync(place, Fault(at=at, how="kill"))
            cut = {
                name: copied(_image(scene, name, f"before-{at}"), scene.folder / f"{name}.cut-{at}") for name in names
            }
        with _there(scene, cut, f"after-{at}", transfers=transfers) as place:
            wrong = scene.auditor(place).look(told=ran.told) + scene.recovered(place)
        for image in cut.values():
            image.unlink()
        if not ran.hits:
            found.note("ran through")
        found.add(f"power cut at call {at} ({_at(ran)})", wrong)
        if enough is not None and len(found.violations) >= enough:
            break
    return found


def _at(ran: Outcome) -> str:
    return ran.hits[0] if ran.hits else "not reached"


def _image(scene: Scene, name: str, run: str) -> Path:
    return scene.folder / f"{name}.{run}"


@contextmanager
def _there(scene: Scene, images: dict[str, Path], run: str, *, transfers: int = 1) -> Iterator[Place]:
    """A place on copies of the images, under names that no other run uses: a loop device may outlive its mount."""
    with ExitStack() as stack:
        at = {}
        for name, image in images.items():
            fresh = copied(image, _image(scene, name, run))
            stack.callback(fresh.unlink)
            at[name] = stack.enter_context(mounted(fresh, scene.folder / f"{name}-{run}"))
        # The same paths before and after: the configuration and the state name them.
        place = Place(
            folder=scene.folder / f"at-{run}",
            store=at["store"] / "mirror",
            state=at.get("state", at["store"]) / "state" / "state.db",
        )
        configure(place, scene.gitlab, transfers=transfers)
        stack.callback(shutil.rmtree, place.folder)
        yield place
