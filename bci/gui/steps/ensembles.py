"""P+, P− and the threshold that the baseline gives."""

from bci.gui.step import Step


class EnsemblesStep(Step):
    """P+, P− and the threshold that the baseline gives."""

    title = "Ensembles"
