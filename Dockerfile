# One image for the API, beat and the workers; compose.yaml says which of them a container is.

# The release of Python that the tests run on.
FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/venv/bin:$PATH

FROM base AS build
RUN python -m venv /venv
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip install --require-hashes -r requirements.txt

FROM base
# The code belongs to root: the process can read it, and change none of it.
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py gunicorn.conf.py ./
COPY project project
COPY scheduler_api scheduler_api
# Where the embedded database and broker would be, for those who set neither URL.
ENV DATA_DIR=/data
RUN install --directory --owner=10001 --mode=0700 /data
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "project.wsgi"]
