# The renderer: environment variables to the rendered set, then it ends.
# Build from the root of the repository: docker build -f containerapp/renderer.Dockerfile .
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY renderer/ renderer/
COPY templates/ templates/
# every version, also of dependencies of dependencies, is pinned in pyproject.toml
RUN uv sync --no-default-groups --no-editable

FROM python:3.11.14-slim-bookworm
COPY --from=build /app/.venv /app/.venv
RUN groupadd --system --gid 636 apisix \
    && useradd --system --uid 636 --gid 636 --no-create-home --shell /usr/sbin/nologin apisix \
    && install -d -o 636 -g 636 -m 0700 /shared-configs
USER 636:636
ENV PATH=/app/.venv/bin:$PATH
ENTRYPOINT ["render-config", "--out", "/shared-configs"]
