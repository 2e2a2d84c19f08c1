#!/bin/sh
# What the pictures show: a Prometheus that scrapes an exporter of the simulator's alice, and has a year of her history before.
#   ./data.sh DIRECTORY PORT [DAYS]
# DAYS of history: 365 unless told otherwise; 0 for a first day. It stays until it is interrupted. Kill the program whose number stands
# in DIRECTORY/exporter.pid for the pictures of a dead exporter, and wait a minute.
set -eu

directory=$1
port=$2
days=${3:-365}
programs=${CARGO_TARGET_DIR:-$(dirname "$0")/../../target}/debug

mkdir -p "$directory/state"
"$programs/oura-simulator" serve --listen 127.0.0.1:0 --real-life --years 2 >"$directory/simulator" &
simulator=$!
trap 'kill $simulator $exporter $prometheus 2>/dev/null' EXIT
trap 'exit 1' INT TERM
exporter='' prometheus=''
until grep -q "alice's token" "$directory/simulator"; do sleep 1; done
OURA_API_URL=$(sed -n 's/^OURA_API_URL=//p' "$directory/simulator")
OURA_ACCESS_TOKEN=$(sed -n "/alice's token/{n;s/^OURA_ACCESS_TOKEN=//p;}" "$directory/simulator")
export OURA_API_URL OURA_ACCESS_TOKEN OURA_ACCOUNT=alice OURA_STATE_DIR="$directory/state"

# The record is told days after its own time.
cat >"$directory/prometheus.yml" <<EOF
global: { scrape_interval: 15s }
scrape_configs:
  - job_name: oura
    static_configs: [{ targets: ['127.0.0.1:$((port + 1))'] }]
    relabel_configs: [{ target_label: instance, replacement: 'localhost:10058' }]
  - job_name: oura-samples
    metrics_path: /metrics/samples
    static_configs: [{ targets: ['127.0.0.1:$((port + 1))'] }]
    relabel_configs: [{ target_label: instance, replacement: 'localhost:10058' }]
    metric_relabel_configs: [{ target_label: job, replacement: oura }]
storage: { tsdb: { out_of_order_time_window: 30d } }
EOF

if [ "$days" -gt 0 ]; then
  "$programs/oura-exporter" backfill --from "$(date -u -d "$days days ago" +%F)" --output "$directory/history"
  for file in "$directory"/history/*.om; do
    promtool tsdb create-blocks-from openmetrics --max-block-duration=1500h "$file" "$directory/data" >/dev/null
  done
fi
"$programs/oura-exporter" --web.listen-address "127.0.0.1:$((port + 1))" 2>"$directory/exporter.log" &
exporter=$!
echo "$exporter" >"$directory/exporter.pid"
prometheus --config.file="$directory/prometheus.yml" --storage.tsdb.path="$directory/data" --storage.tsdb.retention.time=10y \
  --query.lookback-delta=1m --web.listen-address="127.0.0.1:$port" 2>"$directory/prometheus.log" &
prometheus=$!
echo "http://127.0.0.1:$port"
wait "$prometheus"
