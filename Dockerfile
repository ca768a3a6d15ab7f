# syntax=docker/dockerfile:1
# The platform's image: `docker build -t esc .`. Stages: the web clients, the Python packages, and what runs.

FROM node:24-bookworm-slim AS web
WORKDIR /srv/esc/web
COPY web/ ./
RUN npm ci --no-progress && npm run build

# The demonstration gateway of the compose profile `federation`.
FROM web AS gateway
COPY deploy/federation/gateway.mjs conformance/gateway.mjs
USER 1000:1000
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:4000/?query={__typename}', {headers: {'apollo-require-preflight': '1'}}).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "conformance/gateway.mjs"]

FROM web AS clients
RUN rm -rf node_modules conformance

FROM python:3.13-slim-bookworm AS packages
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/venv \
  && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock

FROM python:3.13-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
  PYTHONUNBUFFERED=1 \
  PYTHONDONTWRITEBYTECODE=1 \
  PYTHONUTF8=1 \
  ESC_ENV=production \
  ESC_LOG=json \
  ESC_HOME=/var/lib/esc \
  HOST=0.0.0.0 \
  PORT=8000
RUN groupadd --system --gid 10001 esc \
  && useradd --system --uid 10001 --gid esc --no-create-home --shell /usr/sbin/nologin esc \
  && install --directory --owner=esc --group=esc /var/lib/esc
WORKDIR /srv/esc
COPY --from=packages /opt/venv /opt/venv
COPY app.py manage.py pyproject.toml LICENSE ./
COPY auth/ auth/
COPY engine/ engine/
COPY integrations/ integrations/
COPY jobs/ jobs/
COPY kit/ kit/
COPY migrations/ migrations/
COPY models/ models/
COPY resolvers/ resolvers/
COPY schema/ schema/
COPY search/ search/
COPY services/ services/
COPY subscriptions/ subscriptions/
COPY --from=clients /srv/esc/web web/
USER 10001:10001
VOLUME /var/lib/esc
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"]
CMD ["python", "manage.py", "serve", "--no-worker"]
