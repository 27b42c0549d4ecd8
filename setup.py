"""Everything is said in setup.cfg; this file is for the tools that still ask for it."""

from setuptools import setup

setup()
