"""Telling platforms which parcels have left: kept on disk, told at their pace until they have it.

It moves no stock: `fulfil` does. Whoever sends a parcel fulfils first and adds it then; what the
platform says afterwards finds the goods gone, and takes nothing out a second time (ADR 018).
"""
