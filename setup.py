"""What pyproject.toml cannot say: `rtl/` of the source tree is installed as `fitact_hw/rtl`."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["golden*", "fitact_hw*", "sim*"]),
        *("fitact_hw.rtl", "fitact_hw.rtl.generated"),
    ],
    package_dir={"fitact_hw.rtl": "rtl"},
)
