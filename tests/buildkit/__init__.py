"""Tests of the BuildKit client: alone, against a scripted daemon, and against a real one."""
