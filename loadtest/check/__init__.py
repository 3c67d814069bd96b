"""The judge of a load test: proves from the recorded history alone what the service kept.

`rules` names what is proven, `judge` applies it. `intake` reads the files into columns of `op`s;
`life` is the contract's table of states, `search` tries it against the answers of one id;
`occupancy` says when an id's units were certainly, and possibly, out; `level` sweeps those over one
stock level, on `timeline` and `ranges`; `recount` holds the final balances against the final
reservations.

Sound: what is named as a violation is one under every order that the intervals allow. Not complete:
what the intervals leave open is given to the service.
"""
