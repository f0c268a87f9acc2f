#!/bin/sh
# The first thing that a newcomer runs: the default cluster, proven by packets, drawn, and left running.
set -eu
cd "$(dirname "$0")/.."
bin/fairlead lab up
bin/fairlead lab verify
bin/fairlead lab map
cat <<'END'

The cluster is running. Try:
  ./bin/fairlead lab status
  ./bin/fairlead lab exec pod-1 -- ip address
  ./bin/fairlead lab capture node-1
  ./bin/fairlead lab down
END
