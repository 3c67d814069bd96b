"""What it takes to speak with another company's system, whatever it sells or ships.

Reading order: `model` (what passes, either way), `errors` (what may be wrong with it), `lane`
(calls leave at the partner's pace), `connection` (one call over HTTP), `door` (what they push to
us), `recorder` (keeps what partners tell before it is acknowledged), `together` (one look for what
several ask at once), `loops` (all that runs for partners, side by side); `simulation` is the other
side.
"""
