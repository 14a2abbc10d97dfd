"""Is everything there that a session needs: the pre-flight."""

from bci.gui.step import Step


class RigStep(Step):
    """Is everything there that a session needs: the pre-flight."""

    title = "Rig"
