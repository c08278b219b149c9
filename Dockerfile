FROM python:3.13-slim

COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1

WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project

COPY . .
RUN uv sync --frozen --no-dev --no-editable \
 && useradd --system --uid 10001 --create-home --home-dir /data propos \
 && install -d -o propos /bank

# By number, so that an engine can check that it is not root.
USER 10001
ENV PATH=/app/.venv/bin:$PATH PROPOS_DATA=/data
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["propos"]
CMD ["api"]
