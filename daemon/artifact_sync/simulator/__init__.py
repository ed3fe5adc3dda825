"""A GitLab that is not one: it behaves as the real server does, on a clock and by a script that tests can drive.

It stands beside the daemon and imports nothing of it. How each part behaves, and according to which source of GitLab's,
is said in the docstring of its handler.
"""

from artifact_sync.simulator.archives import Archive, big, raw, small
from artifact_sync.simulator.clock import SimClock
from artifact_sync.simulator.demo import demo_world
from artifact_sync.simulator.expected import expected
from artifact_sync.simulator.hooks import SimHook
from artifact_sync.simulator.limits import Limits, Quota, Throttle
from artifact_sync.simulator.living import LivingWorld, Tell
from artifact_sync.simulator.seen import RequestSeen
from artifact_sync.simulator.server import Running, serve
from artifact_sync.simulator.state import JobSpec, SimGroup, SimJob, SimPipeline, SimProject
from artifact_sync.simulator.tokens import TOKEN, SimToken
from artifact_sync.simulator.world import Delivery, World

__all__ = [
    "TOKEN",
    "Archive",
    "Delivery",
    "JobSpec",
    "Limits",
    "LivingWorld",
    "Quota",
    "RequestSeen",
    "Running",
    "SimClock",
    "SimGroup",
    "SimHook",
    "SimJob",
    "SimPipeline",
    "SimProject",
    "SimToken",
    "Tell",
    "Throttle",
    "World",
    "big",
    "demo_world",
    "expected",
    "raw",
    "serve",
    "small",
]
