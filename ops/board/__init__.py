"""The ops board: a page that needs no build, served by the API workers.

`pages.py` serves it; `assets/` is it: `index.html` (the shell), `board.js` (session, stream, acts),
`view.js` (the frame, which page), the pages `overview.js` (with `figures.js` above and `aside.js`
beside), `sku.js` (with `chart.js` and `told.js`), `channels.js` (with `dead.js`), `order.js` and
`alerts.js`, `attention.js` (what is urgent, and why), `unfit.js` (why an order does not fit),
`dialog.js` (is it meant?), `text.js` (Chinese and English), `format.js`, `dom.js`, `board.css`,
uPlot.
"""
