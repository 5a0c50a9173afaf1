"""Needs a package that is not installed."""

import surely_not_installed

GREETING = surely_not_installed.GREETING
