"""A place for one container on this machine: configuration, token and volumes, and what lies in them afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.harness import TOKEN, archives
from tests.container.engine import USER, require

__all__ = ["Site"]

_CONFIGURATION = """\
version: 1
gitlab: {{url: '{url}', token: {{file: /run/secrets/gitlab-token}}}}
store: {{path: /srv/mirror, mode: "0640", group: {group}, min_free: 50MiB}}
state: {{path: /var/lib/artifact-sync/state.db}}
poll: {{interval: 1s, max_interval: 2s}}
rules:
  - name: all
    projects: ["acme/**"]
    when: {{statuses: [success, failed, canceled], retried: true}}
    publish: {{path: "{{project}}/{{ref}}/{{job}}/{{job_id}}", latest: "{{project}}/{{ref}}/{{job}}/latest"}}
    keep: {{policy: never}}
{rule}
server: {{listen: {listen}}}
log: {{format: json}}
{more}
"""


@dataclass(frozen=True)
class Site:
    """One folder with everything."""

    folder: Path

    @classmethod
    def laid_out(
        cls, folder: Path, url: str, *, listen: str = "'127.0.0.1:8709'", rule: str = "", more: str = ""
    ) -> Site:
        """A new one. The volumes are as a cluster makes them: root's, and open to the group of the container."""
        made = cls(folder)
        for part in ("etc", "secrets", "state", "mirror"):
            (folder / part).mkdir(parents=True)
        made.configure(url, listen=listen, rule=rule, more=more)
        token = folder / "secrets" / "gitlab-token"
        token.write_text(TOKEN)
        token.chmod(0o440)
        os.chown(token, 0, USER)
        for part in ("state", "mirror"):
            os.chown(folder / part, 0, USER)
            (folder / part).chmod(0o2770)
        return made

    def configure(self, url: str, *, listen: str = "'127.0.0.1:8709'", rule: str = "", more: str = "") -> None:
        """Write the configuration (anew)."""
        text = _CONFIGURATION.format(url=url, group=USER, listen=listen, rule=rule, more=more)
        (self.folder / "etc" / "config.yaml").write_text(text)

    @property
    def mounts(self) -> list[str]:
        """For the daemon."""
        return [
            f"--volume={self.folder}/etc:/etc/artifact-sync:ro",
            f"--volume={self.folder}/secrets:/run/secrets:ro",
            f"--volume={self.folder}/state:/var/lib/artifact-sync",
            f"--volume={self.folder}/mirror:/srv/mirror",
        ]

    @property
    def reading(self) -> list[str]:
        """For an application beside it: the store at another place, and nothing else."""
        return [f"--volume={self.folder}/mirror:/builds:ro"]

    @property
    def tree(self) -> Path:
        """What is published."""
        return self.folder / "mirror" / "tree"

    def identical(self, expected: dict[int, str]) -> int:
        """How many archives are published. Raises Failed where one is not that of its job."""
        found = archives(self.folder / "mirror")
        wrong = [job for job, digest in found.items() if digest != expected[job]]
        require(not wrong, f"other bytes than the job's: {wrong}")
        return len(found)

    def owners(self) -> set[tuple[int, int]]:
        """User and group of everything in both volumes."""
        roots = (self.folder / "mirror", self.folder / "state")
        return {(path.lstat().st_uid, path.lstat().st_gid) for root in roots for path in root.rglob("*")}
