"""What pyproject.toml cannot say: two folders of the repository install inside the package `bci`.

`hardware` and `stimuli` are names of other projects on the package index. Nothing but `bci` may lie
on top of site-packages, so they become `bci.hardware` and `bci.stimuli`.
"""

from setuptools import find_packages, setup

MAPPED = ("hardware", "stimuli")

setup(
    packages=find_packages(include=["bci", "bci.*"])
    + [
        f"bci.{package}"
        for folder in MAPPED
        for package in find_packages(include=[folder, f"{folder}.*"])
    ],
    package_dir={f"bci.{folder}": folder for folder in MAPPED},
)
