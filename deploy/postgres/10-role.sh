#!/bin/bash
# Runs once, on an empty data folder: the platform owns its database and is no superuser; only a superuser may add pgvector.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --set password="$ESC_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE esc LOGIN PASSWORD :'password';
CREATE DATABASE esc OWNER esc;
\connect esc
CREATE EXTENSION vector;
SQL
