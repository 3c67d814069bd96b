"""The one way out: each platform is told what it may still sell, and what it may sell no more.

Reading order: `listings` (what stands in which shop), `policy` (what a shop sees of the stock,
pure), `limits` (which levels have quotas), `follower` (what has changed), `offers` (what is to be
told, the latest alone, kept on disk), `teller` (tells it, at the platform's pace), `console` (a
livestream's own, told by webhook).
"""
