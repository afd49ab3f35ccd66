# Helix with its editor, on SQLite in a volume:
#
#     docker build --tag helix .
#     docker run --publish 127.0.0.1:4000:4000 --volume helix:/var/lib/helix helix
#
# HELIX_AUTH=anyone, as below, asks nobody who they are: whoever reaches the port may read and edit every flow. So publish
# it on 127.0.0.1 alone, as above, or set HELIX_AUTH to what docs/access.md says.

FROM python:3.13-slim AS build
WORKDIR /src
COPY LICENSE MANIFEST.in README.md pyproject.toml setup.py ./
COPY build_backend build_backend
COPY frontend frontend
COPY helix helix
COPY twisted twisted
# Twisted keeps a list of its plugins, which the user below may not write: the help makes it.
RUN python -m venv /opt/helix \
    && /opt/helix/bin/pip install --no-cache-dir . \
    && /opt/helix/bin/helix serve --help > /dev/null

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/helix helix
COPY --from=build /opt/helix /opt/helix
# The options of `helix serve`; docs/configuration.md lists them all. The names by which people ask for the server are
# limited, since a page elsewhere may have a name that leads to the published port: set HELIX_ALLOW_HOST to your own.
ENV PATH=/opt/helix/bin:$PATH \
    HELIX_ALLOW_HOST=localhost \
    HELIX_AUTH=anyone \
    HELIX_LISTEN=tcp:4000 \
    HELIX_STORE=sqlite:/var/lib/helix/flows.db
WORKDIR /var/lib/helix
USER 10001
VOLUME /var/lib/helix
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 4000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["helix", "serve"]
