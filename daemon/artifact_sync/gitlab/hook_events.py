"""What a webhook is about: Job and Pipeline events (lib/gitlab/data_builder/build.rb and pipeline.rb).

System hooks send the same under other headers. Only the body decides, because nothing but the body is signed.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from artifact_sync.core.hints import Hint

__all__ = ["hint_in"]

#: A number that a row of the state can have.
_Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
#: Of a job that has not ended (app/models/concerns/ci/has_status.rb). A status that is new to this program is looked at.
_NOT_ENDED = frozenset(
    {
        "created",
        "waiting_for_resource",
        "preparing",
        "waiting_for_callback",
        "pending",
        "running",
        "canceling",
        "manual",
        "scheduled",
    }
)
#: Of a pipeline in which something runs, or will. One that waits for a person has jobs that have ended.
_MOVING = _NOT_ENDED - {"manual", "scheduled"}


class _Kind(msgspec.Struct, frozen=True):
    object_kind: str = ""


class _Build(msgspec.Struct, frozen=True):
    build_id: _Id
    build_status: str
    pipeline_id: _Id
    project_id: _Id


class _Attributes(msgspec.Struct, frozen=True):
    id: _Id
    status: str


class _Project(msgspec.Struct, frozen=True):
    id: _Id


class _Pipeline(msgspec.Struct, frozen=True):
    object_attributes: _Attributes
    project: _Project


def hint_in(body: bytes) -> Hint | None:
    """The hint in a webhook's body; None where it tells of nothing that has ended, or is no event at all."""
    try:
        match msgspec.json.decode(body, type=_Kind).object_kind:
            case "build":
                return _of_job(msgspec.json.decode(body, type=_Build))
            case "pipeline":
                return _of_pipeline(msgspec.json.decode(body, type=_Pipeline))
    except (ValueError, RecursionError):
        pass
    return None


def _of_job(event: _Build) -> Hint | None:
    if event.build_status in _NOT_ENDED:
        return None
    return Hint(project_id=event.project_id, pipeline_id=event.pipeline_id, job_id=event.build_id)


def _of_pipeline(event: _Pipeline) -> Hint | None:
    if event.object_attributes.status in _MOVING:
        return None
    return Hint(project_id=event.project.id, pipeline_id=event.object_attributes.id)
