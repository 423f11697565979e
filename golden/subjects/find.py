"""A subject by its name or folder: what commands and workers are told."""

from __future__ import annotations

from pathlib import Path

from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.subjects.names import check_subject, is_shipped
from golden.subjects.shipped import ShippedSubject
from golden.subjects.stored import StoredSubject
from golden.subjects.subject import Subject


def open_subject(uri: str, folder: Path = WEIGHTS_FOLDER) -> Subject:
    """The shipped network called ``uri``, with the files in ``folder``, or the subject in the folder ``uri``.

    Raises GoldenError if there is none.
    """
    check_subject(uri)
    return ShippedSubject(uri, folder) if is_shipped(uri) else StoredSubject(Path(uri))
