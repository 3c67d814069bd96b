"""The ops board: a page that needs no build, served by the API workers.

`pages.py` serves it; `assets/` is it: `index.html` (the shell), `board.js` (state and stream),
`view.js` (what is drawn), `text.js` (Chinese and English), `format.js`, `board.css`, uPlot.
"""
