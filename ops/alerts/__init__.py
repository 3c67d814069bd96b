"""Alerts: what people must know of at once goes to where they are.

Read in this order: `alert` (which entry of the log alerts), `standing` (what stands undone with
channels), `outbox` (what is to be told, kept until it is), `alerter` (log to outbox), `watcher`
(channels' files to outbox), `courier` (outbox to receiver, at its pace), `message` and
`wording` (many alerts as one readable message), `receiving` (what all kinds of receivers have in
common), `wecom`, `dingtalk`, `webhook` (what each speaks). `service` runs the loops, `endpoints`
shows it over HTTP, `prometheus/` has alert rules for those who have Prometheus.
"""
