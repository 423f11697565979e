"""Tests of the study of alarms."""
