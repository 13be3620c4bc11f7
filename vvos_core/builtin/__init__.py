"""Plugins of the core's own. They use the contract as any other plugin does."""
