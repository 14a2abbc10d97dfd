"""What the microscope sees: ROIs, planes."""

from bci.gui.step import Step


class FieldOfViewStep(Step):
    """What the microscope sees: ROIs, planes."""

    title = "Field of view"
