#!/bin/sh
# Writes server.properties out of KAFKA_X_Y=z, formats the storage the first time, and runs the broker.
# KAFKA_X_Y=z becomes x.y=z. Two underscores stand for one, three for a dash.
set -euf # no globs: Java reads the star itself
config=/var/lib/kafka/server.properties
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
  key=$(echo "${name#KAFKA_}" | tr 'A-Z' 'a-z' | sed -e 's/___/-/g' -e 's/__/@/g' -e 's/_/./g' -e 's/@/_/g')
  echo "$key=$value"
done >"$config"
java="java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.showDateTime=true -cp /opt/kafka/libs/*"
$java kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$config"
exec $java kafka.Kafka "$config"
