#!/bin/bash
# Exit code 0 when the routes are live. The image has neither curl nor wget.
#
# usage: gateway-health.sh [STATUS_PORT]
exec 3<>"/dev/tcp/127.0.0.1/${1:-7085}" || exit 1
printf 'GET /status/ready HTTP/1.0\r\n\r\n' >&3
read -r -t 5 _ status _ <&3
[ "$status" = 200 ]
