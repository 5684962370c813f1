"""Outlook Calendar: everything the portal knows about Microsoft, behind the contract in `providers/base.py`."""
