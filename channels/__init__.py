"""Sales channels: a platform's words to ours, one way in, one way out.

Reading order: `model` (what is said, in our words), `adapter` (what a platform's file must say),
`errors`; `registry` (which adapter a channel has), `transport` (calls to a platform, at the pace
of a `lane`, opened by what `tokens` keep), `intake` (what comes in), `feed` (what goes out).
"""
