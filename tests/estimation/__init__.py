"""Tests of the statistics of stratified samples."""
