# One image for the web process, the worker and the command line.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/passbell && /opt/passbell/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY app app
RUN /opt/passbell/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /data --shell /usr/sbin/nologin passbell
COPY --from=build /opt/passbell /opt/passbell
COPY pass_templates /usr/share/passbell/pass_templates
ENV PATH=/opt/passbell/bin:$PATH \
    PASSBELL_HOST=0.0.0.0 \
    PASSBELL_DATA_DIR=/data \
    PASSBELL_DATABASE_URL=sqlite:////data/passbell.db \
    PASSBELL_PASS_TEMPLATES_DIR=/usr/share/passbell/pass_templates
USER passbell
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s CMD ["passbell", "health"]
CMD ["passbell", "serve"]
