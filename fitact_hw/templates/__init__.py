"""What all HTML pages of the project share."""

from pathlib import Path

FOLDER = Path(__file__).parent
