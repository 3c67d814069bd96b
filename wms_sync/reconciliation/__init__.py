"""Holds a warehouse's figures against ours: what is certainly wrong is told, and may be mended.

Reading order: `rule` (what a difference proves, pure; ADR 024), `model` (what is kept), `file` (its
tables), `reads` (what people and metrics ask), `desk` (what people ask for), `findings` (what a
look makes of rows), `ours` (our side of a comparison), `reconciler` (the loop).
"""
