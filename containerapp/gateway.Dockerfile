# The gateway: APISIX's official image with our plugins and an entrypoint that checks the set.
# Build from the root of the repository: docker build -f containerapp/gateway.Dockerfile .
FROM apache/apisix:3.18.0-debian

# root's: what runs here cannot write to them
COPY apisix/plugins/ /usr/local/apisix/gateway/apisix/plugins/
COPY containerapp/gateway-entrypoint.sh containerapp/gateway-health.sh /usr/local/bin/

# 636 is the official image's own user `apisix`; a new named volume takes the folders' owner over.
# What is copied keeps the modes of the checkout, which a strict umask closes to that user
USER 0:0
RUN install -d -o 636 -g 636 -m 0700 /shared-configs /shared-logs \
    && chmod -R a+rX /usr/local/apisix/gateway \
    && chmod 0755 /usr/local/bin/gateway-entrypoint.sh /usr/local/bin/gateway-health.sh
USER 636:636

ENV APISIX_STAND_ALONE=true
EXPOSE 9080 7085
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/gateway-entrypoint.sh"]
# the official image's own start: writes nginx.conf and becomes nginx
CMD ["/docker-entrypoint.sh", "docker-start"]
