"""The block before the task: progress, traces, ROI scores."""

from bci.gui.step import Step


class BaselineStep(Step):
    """The block before the task: progress, traces, ROI scores."""

    title = "Baseline"
