"""A trained network as a subject's folder: the result of training on other data than the stored weights are for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from golden.data.cifar10 import Images
from golden.errors import GoldenError, StoreError, WeightsError
from golden.networks.evaluate import accuracy
from golden.search.profile import subset
from golden.subjects.data import Data
from golden.subjects.make import KEPT_IMAGES, import_checked, write_subject
from golden.subjects.names import is_subject
from golden.subjects.stored import StoredSubject
from golden.training.train import load_checkpoint, load_trained


def subject_of_run(
    checkpoint: Path, training: Images, test: Images, title: str, classes: tuple[str, ...], folder: Path
) -> tuple[StoredSubject, float]:
    """The subject of a finished run in ``folder``, made unless it is there, and the top-1 (0..1) of its float network
    on all of ``test``.

    ``training``: what it was trained with; of these, without those held out, it keeps KEPT_IMAGES, drawn with the seed
    of the run, and of ``test`` the first. Raises WeightsError for an unfinished run, StoreError if ``folder`` holds
    something else.
    """
    state = load_checkpoint(checkpoint)
    if state is None:
        raise WeightsError(f"no checkpoint at {checkpoint}")
    recipe = state["recipe"]
    if len(state["log"]) < recipe["epochs"]:
        raise GoldenError(f"training of {recipe['model']} stands at epoch {len(state['log'])} of {recipe['epochs']}")
    model = load_trained(checkpoint)
    source = f"{recipe['model']}, trained on {title}: {hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]}"
    if is_subject(folder):
        made = StoredSubject(folder)
        if made.facts["network"] != source:
            raise StoreError(f"{folder} holds a subject of another run: remove it or name another folder")
        return made, accuracy(model, test)
    learnable = training.part(0, len(training) - recipe["validation"])
    kept = subset(learnable, KEPT_IMAGES, recipe["seed"])
    imported = import_checked(model, Data(kept, test, True, title, classes))
    return write_subject(imported, folder, source), accuracy(model, test)
