"""What is ordered, by whom and when: pure, the same for the same seed.

Reading order: `plan` (its words), `curve` (when), `baskets` (what), `buyers` (what each does
then), `scenarios` (all of it, one
function a scenario). Nothing here knows a clock, a network or Locust.
"""
