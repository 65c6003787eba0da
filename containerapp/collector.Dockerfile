# The OpenTelemetry collector as the user that the rendered files belong to: Container Apps cannot
# choose a container's user, and the official image's one cannot read them.
# Build from the root of the repository: docker build -f containerapp/collector.Dockerfile .
FROM busybox:1.37.0-musl AS tools

FROM otel/opentelemetry-collector-contrib:0.138.0
# the official image is empty but for the collector; health checks inside it need a client
COPY --from=tools /bin/busybox /bin/busybox
USER 636:636
CMD ["--config=/shared-configs/otel-collector.yaml"]
