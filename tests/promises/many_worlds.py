"""Hold a promise in worlds that hypothesis draws, and require that these were worlds in which it could break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.promises.virtual_loop import Census, run_virtually

__all__ = ["hold"]


def hold(
    live: Callable[..., Coroutine[Any, Any, list[str]]],
    *,
    covered: Sequence[str],
    worlds: int,
    repeatable: bool,
    **drawn: st.SearchStrategy[Any],
) -> None:
    """Run ``live(census, total, **drawn)`` in so many worlds; it says what is wrong, and counts in ``total`` what happened.

    Everything that is named in ``covered`` must have happened somewhere. Unless it is ``repeatable``, no run has the same
    worlds as another.
    """
    total: Counter[str] = Counter()

    @settings(
        max_examples=worlds,
        derandomize=repeatable,
        database=None,
        deadline=None,
        print_blob=True,
        # Explaining runs a failing world line by line, dozens of times.
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(**drawn)
    def every_world(**world: Any) -> None:
        def begin(census: Census) -> Coroutine[Any, Any, list[str]]:
            return live(census, total, **world)

        wrong = run_virtually(begin)
        assert not wrong, "\n".join(wrong)

    every_world()
    print("\n" + ", ".join(f"{kind}: {count}" for kind, count in sorted(total.items())))  # noqa: T201 -- what the run covered, with -s or on a failure
    assert [kind for kind in covered if not total[kind]] == []
