# One image for the API, beat and the workers; compose.yaml says which of them a container is.

# The release of Python that the tests run on.
FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/venv/bin:$PATH
WORKDIR /app

FROM base AS build
RUN python -m venv /venv
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip install --require-hashes -r requirements.txt
COPY manage.py gunicorn.conf.py ./
COPY project project
COPY scheduler_api scheduler_api
# The key is for this command only: it signs nothing, and is no part of the image. The folder is
# made for its owner alone, and here that is not who will read it.
RUN SECRET_KEY=unused python manage.py collectstatic --no-input && chmod -R a+rX .data

FROM base
COPY --from=build /venv /venv
# Everything belongs to root: the process can read its code, and change none of it.
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "project.wsgi"]
