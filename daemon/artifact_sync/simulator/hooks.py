"""Webhooks of projects, and of the whole instance: who is told what, and who is not told any more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from artifact_sync.simulator.clock import SimClock
from artifact_sync.simulator.hook_payloads import job_event, pipeline_event
from artifact_sync.simulator.state import SimJob, SimPipeline, SimProject

__all__ = ["Hooks", "Posting", "SimHook"]

#: app/models/concerns/web_hooks/auto_disabling.rb: failures in a row that are let pass, and after which it is over.
_LET_PASS, _AT_MOST = 3, 40
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(days=1)


@dataclass(slots=True, eq=False)
class SimHook:
    """A webhook. ``project`` None: a system hook, which hears of every project.

    ``token`` is sent as it is, ``signing`` (``whsec_`` and base64) signs; each where it is set, both where both are.
    """

    url: str
    project: SimProject | None
    token: str | None = None
    signing: str | None = None
    job_events: bool = True
    pipeline_events: bool = True
    #: Seconds for a delivery (app/services/web_hook_service.rb).
    timeout: float = 10.0
    failures: int = 0
    pauses: int = 0
    paused_until: datetime | None = None
    #: Statuses that were answered, 0 where there was no answer in time.
    answers: list[int] = field(default_factory=list)
    #: Deliveries that were not tried, because it was disabled.
    dropped: int = 0

    @property
    def over(self) -> bool:
        """Whether it is disabled until somebody enables it."""
        return self.failures >= _AT_MOST

    def takes(self, now: datetime) -> bool:
        """Whether it is not disabled at this moment."""
        return not self.over and (self.paused_until is None or now >= self.paused_until)

    def answered(self, status: int, now: datetime) -> None:
        """Count an answer: 2xx and 3xx are good, and make up for everything before.

        auto_disabling.rb: from the fourth failure in a row on it pauses, for a minute, then twice as long each time, up to a
        day; after the fortieth it is disabled for good.
        """
        self.answers.append(status)
        if 200 <= status < 400:  # noqa: PLR2004 - classes of statuses
            self.failures, self.pauses, self.paused_until = 0, 0, None
            return
        self.failures += 1
        if self.failures > _LET_PASS:
            self.paused_until = now + min(_FIRST_PAUSE * 2**self.pauses, _LONGEST_PAUSE)
            self.pauses += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A delivery that is to be made."""

    hook: SimHook
    headers: dict[str, str]
    body: bytes


class Hooks:
    """All of a world's. What is to be delivered waits in ``waiting``; ``wake`` is called when something comes."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._hooks: list[SimHook] = []
        self._statuses: dict[int, str] = {}
        self.waiting: deque[Posting] = deque()
        self.wake: Callable[[], None] = lambda: None
        #: scheme://host:port of this GitLab; set when it is served.
        self.base = "http://gitlab.invalid"

    def add(
        self,
        project: SimProject | None,
        url: str,
        *,
        token: str | None = None,
        signing: str | None = None,
        job_events: bool = True,
        pipeline_events: bool = True,
    ) -> SimHook:
        """Tell this URL from now on; without a project it is a system hook."""
        hook = SimHook(url, project, token, signing, job_events, pipeline_events)
        self._hooks.append(hook)
        self._statuses |= {pipeline.id: pipeline.status for pipeline in project.pipelines} if project else {}
        return hook

    def told(self, event: str, subject: SimJob | SimPipeline) -> None:
        """Something happened (the names of ``World``): every change of a job's or a pipeline's status is delivered.

        Trigger jobs are none of those (app/models/ci/bridge.rb executes no hooks).
        """
        pipeline = subject.pipeline if isinstance(subject, SimJob) else subject
        hooks = [hook for hook in self._hooks if hook.project in {None, pipeline.project}]
        if not hooks or event.startswith("artifacts."):
            return
        before, self._statuses[pipeline.id] = self._statuses.get(pipeline.id), pipeline.status
        # The recursion id of everything that one cause leads to.
        cause = str(uuid.uuid4())
        for job in _changed(subject):
            self._post("Job Hook", job_event(job, base=self.base), cause, (h for h in hooks if h.job_events))
        if pipeline.status != before:
            about = pipeline_event(pipeline, base=self.base)
            self._post("Pipeline Hook", about, cause, (h for h in hooks if h.pipeline_events))
        self.wake()

    def _post(self, name: str, payload: object, cause: str, hooks: Iterator[SimHook]) -> None:
        body = json.dumps(payload).encode()
        for hook in hooks:
            self.waiting.append(Posting(hook=hook, headers=self._headers(hook, name, cause, body), body=body))

    def _headers(self, hook: SimHook, name: str, cause: str, body: bytes) -> dict[str, str]:
        """app/services/web_hook_service.rb; ``Idempotency-Key`` since 17.4.

        X-Gitlab-Webhook-UUID is another one for each delivery, X-Gitlab-Event-UUID the same for all hooks of one event.
        """
        identity = str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/18.11.2-ee",
            "Idempotency-Key": identity,
            "X-Gitlab-Event": name if hook.project else "System Hook",
            "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
            "X-Gitlab-Instance": self.base,
            "X-Gitlab-Event-UUID": cause,
        }
        if hook.token is not None:
            headers["X-Gitlab-Token"] = hook.token
        if hook.signing is not None:
            headers |= _signed(hook.signing, identity, str(int(self._clock.now().timestamp())), body)
        return headers


def _changed(subject: SimJob | SimPipeline) -> list[SimJob]:
    jobs = [subject] if isinstance(subject, SimJob) else subject.jobs
    return [job for job in jobs if not job.spec.bridge]


def _signed(secret: str, identity: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks: HMAC-SHA256 of id, timestamp and body, with the key that is base64 behind ``whsec_``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": identity,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
