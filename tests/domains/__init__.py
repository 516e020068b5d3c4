"""Tests of the package domains."""
