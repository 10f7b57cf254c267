# An image with nothing but the static binary:
#
#     docker build -t llmproxy --build-arg LLMPROXY_COMMIT="$(git rev-parse --short=10 HEAD)" .
#     docker run -d --name llmproxy -p 8000:8000 -v llmproxy:/data -e OPENAI_API_KEY=sk-... llmproxy
#     docker exec llmproxy llmproxy user add alice
#
# docs/operations.md says more.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Shown by `llmproxy --version`. The repository itself is not copied.
ARG LLMPROXY_COMMIT=
RUN cargo build --locked --release --bin llmproxy \
    && mkdir -p /image/usr/bin /image/data \
    && cp target/*/release/llmproxy /image/usr/bin/

FROM scratch
COPY --from=build /image/usr /usr
# A new volume gets the owner of the directory.
COPY --from=build --chown=65532:65532 /image/data /data
# A number, because there is no /etc/passwd, and because orchestrators check that it is not 0.
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV PATH=/usr/bin HOST=0.0.0.0 PORT=8000 DATABASE_URL=sqlite:////data/llm_proxy.db
EXPOSE 8000
# There is no shell and no curl. A large database may have to be migrated first.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD ["/usr/bin/llmproxy", "health"]
ENTRYPOINT ["/usr/bin/llmproxy"]
CMD ["serve"]
