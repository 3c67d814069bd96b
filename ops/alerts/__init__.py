"""Alerts: what people must know of at once goes to where they are.

Read in this order: `alert` (which entry of the log alerts), `outbox` (what is to be told, kept
until it is), `alerter` (log to outbox), `courier` (outbox to receiver, at its pace), `message` and
`wording` (many alerts as one readable message), `wecom`, `dingtalk`, `webhook` (what each
receiver speaks).
"""
