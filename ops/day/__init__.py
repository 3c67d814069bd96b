"""The festival day in fast motion: platforms, Holdfast, and a warehouse that is full.

All of it runs for real, in processes of its own, over HTTP: buyers order at simulated platforms,
these tell Holdfast in their own words, it hands over to a simulated warehouse, and that reports.
Only the warehouse's time is fast: what channels and reservations do takes the time that it takes.

Reading order: `plan` (what is ordered, and when), `partners` (what is agreed with them), `stage`
(the processes), `buyers` (who orders), `foresight` (what was foreseen meanwhile); `books` (what
everybody has in the end), `course` (what follows from it), `verdicts`, `report`, and `play`.
"""
