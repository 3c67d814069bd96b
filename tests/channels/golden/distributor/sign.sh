#!/bin/sh
# Signs a payload with OpenSSL, so that no code of ours vouches for itself: sign.sh ID SECONDS FILE
key=$(printf %s MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
{ printf '%s.%s.' "$1" "$2"; cat "$3"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A
echo
