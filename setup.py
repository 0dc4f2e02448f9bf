"""The metadata is in pyproject.toml.  This adds what it cannot say: ``configs/`` is shipped as ``hicm/configs``."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["hicm", "hicm.*"]), "hicm.configs"], package_dir={"hicm.configs": "configs"})
