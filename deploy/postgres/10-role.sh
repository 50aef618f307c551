#!/bin/sh
# Run once, by PostgreSQL's image, when the volume is empty: the role that Formstream logs in as. It owns its database, may
# make the two roles that row-level security is told in terms of and databases to try backups in, and is no superuser: those
# are held by no policy.
set -eu

password=$(cat /run/secrets/PGPASSWORD)
psql --set=ON_ERROR_STOP=1 --set=password="$password" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE formstream LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE CREATEDB PASSWORD :'password';
CREATE DATABASE formstream OWNER formstream;
SQL
