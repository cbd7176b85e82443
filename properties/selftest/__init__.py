"""Tests of the harness itself: what judges must be judged."""
