#!/bin/sh
# Makes the three buckets, and a user that may use them and nothing else. May be repeated.
set -eu
mc alias set store http://minio:9000 root "$MINIO_ROOT_PASSWORD" > /dev/null
mc mb --ignore-existing store/imagery store/heatmaps store/reports
mc admin policy create store orthoray /etc/orthoray/policy.json
mc admin user add store "$MINIO_ACCESS_KEY" "$MINIO_SECRET_KEY"
# `attach` fails when it is attached already
mc admin policy attach store orthoray --user "$MINIO_ACCESS_KEY" ||
    mc admin user info store "$MINIO_ACCESS_KEY" | grep -q orthoray
