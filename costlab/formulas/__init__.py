"""Costs as functions of sizes and choices."""
