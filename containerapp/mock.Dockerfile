# The mock Azure OpenAI, for the compose file and for end-to-end runs in Azure. Never in production.
# Build from the root of the repository: docker build -f containerapp/mock.Dockerfile .
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY templates/ templates/
COPY e2e/__init__.py e2e/
COPY e2e/mock_azure_openai/ e2e/mock_azure_openai/
RUN uv sync --no-default-groups --no-editable

FROM python:3.11.14-slim-bookworm
COPY --from=build /app/.venv /app/.venv
USER 636:636
ENV PATH=/app/.venv/bin:$PATH
EXPOSE 8080
ENTRYPOINT ["mock-azure-openai", "--host", "0.0.0.0", "--port", "8080"]
