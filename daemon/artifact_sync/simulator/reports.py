"""Report artifacts: which types there are, in which format they are stored, and under which name.

app/models/concerns/enums/ci/job_artifact.rb (types, formats, default file names).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib

__all__ = ["downloadable", "report", "report_format", "report_name"]

_FORMATS = (
    dict.fromkeys(
        (
            *("junit", "metrics", "metrics_referee", "network_referee", "dotenv", "cobertura", "jacoco"),
            *("cluster_applications", "cyclonedx", "annotations", "repository_xray"),
        ),
        "gzip",
    )
    | dict.fromkeys(("lsif", "scip"), "zip")
    | dict.fromkeys(
        (
            *(
                "sast",
                "secret_detection",
                "dependency_scanning",
                "container_scanning",
                "cluster_image_scanning",
                "dast",
            ),
            *("license_scanning", "accessibility", "codequality", "performance", "browser_performance"),
            *("load_performance", "terraform", "requirements", "requirements_v2", "coverage_fuzzing", "api_fuzzing"),
            "sarif",
        ),
        "raw",
    )
)
_NAMES = {"junit": "junit.xml.gz", "cobertura": "cobertura-coverage.xml.gz", "dotenv": ".env.gz"}
_SUFFIXES = {"gzip": "gz", "zip": "zip", "raw": "json"}
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def downloadable(file_type: str) -> bool:
    """Whether ``file_type`` may be asked for (gitlab-org/gitlab!252518): not the metadata, nor the trace."""
    return file_type in _FORMATS


def report_format(file_type: str) -> str:
    """How it is stored; types that are not known here are gzip."""
    return _FORMATS.get(file_type, "gzip")


def report_name(file_type: str) -> str:
    """The name of the stored file."""
    return _NAMES.get(file_type, f"{file_type}.{_SUFFIXES[report_format(file_type)]}")


def report(file_type: str, job_id: int) -> bytes:
    """The stored bytes, always the same ones for the same job."""
    if report_format(file_type) == "raw":
        return json.dumps({"type": file_type, "job": job_id}).encode()
    text = f'<?xml version="1.0"?>\n<report type="{file_type}" job="{job_id}"/>\n'.encode()
    if report_format(file_type) == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr(zipfile.ZipInfo("dump.json", _LONG_AGO), text)
        return file.getvalue()
    packer = zlib.compressobj(wbits=31)  # gzip without a time
    return packer.compress(text) + packer.flush()
